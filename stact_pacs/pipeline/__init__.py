"""A cine becomes findings: segment, follow the nodules, embed, score, measure."""

"""Score ultrasound cine clips pushed from a PACS and send the results back as DICOM SEG and SR."""

__version__ = "0.1.0"

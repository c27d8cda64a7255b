"""Every coded concept that the results carry, each with the context group or template that asks for it.

All of them are standard: a private code would be unknown to whoever reads the objects.
"""

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

# Who and how: equipment and algorithm.
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")  # CID 7005
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")  # CID 7005
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162

# What: the finding and where it is.
MORPHOLOGICALLY_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")  # CID 7150
NODULE = Code("27925004", "SCT", "Nodule")  # CID 7159
THYROID = Code("69748006", "SCT", "Thyroid")  # CID 4
THYROID_NODULE = Code("237495005", "SCT", "Thyroid Nodule")  # CID 12322
ABSENT = Code("272519000", "SCT", "Absent")  # CID 240

# SEG: derivation of a frame.
SEGMENTATION = Code("113076", "DCM", "Segmentation")  # CID 7203
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202

# SR: TID 1500 and the templates that it includes.
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")  # CID 7021
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")  # CID 100
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")  # TID 1600
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")  # TID 1600
SOURCE = Code("260753009", "SCT", "Source")  # TID 1600
MODALITY = Code("121139", "DCM", "Modality")  # TID 1602
ULTRASOUND = Code("US", "DCM", "Ultrasound")  # CID 29
PIXEL_DATA_ROWS = Code("110910", "DCM", "Pixel Data Rows")  # TID 1602
PIXEL_DATA_COLUMNS = Code("110911", "DCM", "Pixel Data Columns")  # TID 1602
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
IMAGE_REGION = Code("111030", "DCM", "Image Region")  # TID 1410
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")  # TID 1411
SOURCE_SERIES = Code("121232", "DCM", "Source series for segmentation")  # TID 1411
PROBABILITY_OF_CANCER = Code("111047", "DCM", "Probability of cancer")  # CID 6048
DERIVATION = Code("121401", "DCM", "Derivation")  # TID 1419
MEAN = Code("373098007", "SCT", "Mean")  # CID 7464
LONG_AXIS = Code("103339001", "SCT", "Long Axis")  # CID 7470
SHORT_AXIS = Code("103340004", "SCT", "Short Axis")  # CID 7470
COMMENT = Code("121106", "DCM", "Comment")
SUMMARY_OF_DETECTIONS = Code("111064", "DCM", "Summary of Detections")  # TID 4000
SUMMARY_OF_ANALYSES = Code("111065", "DCM", "Summary of Analyses")  # TID 4000
SUCCEEDED = Code("111222", "DCM", "Succeeded")  # CID 6042
NOT_ATTEMPTED = Code("111225", "DCM", "Not Attempted")  # CID 6042

# KOS and PDF: what the document is.
OF_INTEREST = Code("113000", "DCM", "Of Interest")  # CID 7010

# Units.
PERCENT = Code("%", "UCUM", "Percent")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
PIXELS = Code("{pixels}", "UCUM", "Pixels")


def code_item(code: Code) -> Dataset:
    """Return the item of a code sequence (PS3.3 Table 8.8-1a)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item

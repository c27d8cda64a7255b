"""An archive, OHIF on it, and a browser: what a radiologist sits in front of."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from tests.integration.loopback_namespace import give_up, require_tools
from tests.integration.orthanc_server import OrthancServer, orthanc
from tests.integration.viewer.ohif_package import ohif_folder
from tests.integration.viewer.viewer_page import ViewerPage, chromium
from tests.integration.viewer.viewer_server import viewer_server

DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
BUILD = Path(__file__).resolve().parents[3] / "build"
PICTURES = Path(os.environ.get("STACT_PACS_TEST_OUTPUT", BUILD)) / "viewer"
"""Screenshots, for people; no part of the repository."""


@dataclass(frozen=True)
class Clinic:
    """An Orthanc with DICOMweb, and a browser that can open OHIF on it."""

    archive: OrthancServer
    browser: Browser
    url: str

    def store(self, files: Iterable[bytes]) -> None:
        for content in files:
            self.archive.post("/instances", content)

    def new_page(self) -> ViewerPage:
        """Return a viewer without a study; nothing is left over from another one."""
        context = self.browser.new_context(viewport={"width": 1600, "height": 1000}, service_workers="block")
        return ViewerPage(context.new_page(), self.url, PICTURES)


@contextmanager
def running_clinic(folder: Path) -> Iterator[Clinic]:
    """Run it for the block; what the archive stores goes into the folder."""
    require_tools("Orthanc", "ip", "chromium")
    if not DICOM_WEB.exists():
        give_up("needs Orthanc's DICOMweb: apt-get install orthanc-dicomweb")
    pages = ohif_folder()
    with (
        orthanc(folder, settings={"Plugins": [str(DICOM_WEB)]}) as archive,
        viewer_server(pages, archive) as url,
        chromium(archive.namespace) as browser,
    ):
        yield Clinic(archive, browser, url)

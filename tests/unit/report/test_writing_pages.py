import errno

import pytest

from stact_pacs.errors import Misconfigured, NoSpace
from stact_pacs.report.pages import _trouble, case_page, write_case, write_index


def test_a_case_is_written_under_the_start_of_its_key(a_case, tmp_path):
    path = write_case(a_case(), tmp_path / "reports")
    assert path == tmp_path / "reports" / "0123456789abcdef.html"
    assert path.read_text(encoding="utf-8") == case_page(a_case())


def test_a_case_can_be_written_under_a_given_name(a_case, tmp_path):
    assert write_case(a_case(), tmp_path, name="report.html") == tmp_path / "report.html"


def test_a_later_report_replaces_the_earlier_one_and_leaves_nothing_else(a_case, tmp_path):
    write_case(a_case(), tmp_path)
    later = write_case(a_case(attempts=2), tmp_path)
    assert list(tmp_path.iterdir()) == [later]
    assert later.read_text(encoding="utf-8") == case_page(a_case(attempts=2))


def test_the_list_is_written_as_index_html(a_case, tmp_path):
    assert write_index([a_case()], tmp_path) == tmp_path / "index.html"


def test_a_key_that_is_a_path_is_never_a_file_name(a_case, tmp_path):
    with pytest.raises(ValueError, match="hexadecimal"):
        write_case(a_case(job_key="../../../../outside"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(a_case, tmp_path):
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(Misconfigured, match=r"reports.*cannot be written.*report\.folder"):
        write_case(a_case(), tmp_path / "reports")


def test_a_full_volume_is_worth_another_try(tmp_path):
    assert isinstance(_trouble(tmp_path, OSError(errno.ENOSPC, "No space left on device")), NoSpace)

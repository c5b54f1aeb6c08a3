"""What pip is told about mirrors and certificates, uv is told too."""

from __future__ import annotations

from pathlib import Path

from envsetup.pip_config import for_uv


def test_indexes_and_folders_of_wheels_are_passed_on() -> None:
    listing = """\
global.index-url='https://mirror.example.org/simple'
global.extra-index-url='https://one.example.org https://two.example.org'
global.find-links='/first /second'
global.trusted-host='mirror.example.org'
"""
    environ = for_uv(listing, {"PATH": "/bin"})
    assert environ["PATH"] == "/bin"
    assert environ["UV_DEFAULT_INDEX"] == "https://mirror.example.org/simple"
    assert environ["UV_INDEX"] == "https://one.example.org https://two.example.org"
    assert environ["UV_FIND_LINKS"] == "/first,/second"
    assert environ["UV_INSECURE_HOST"] == "mirror.example.org"


def test_all_indexes_count_alike_as_they_do_for_pip() -> None:
    assert for_uv("", {}) == {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1"}


def test_variables_of_pip_come_before_its_files_and_those_of_uv_before_both() -> None:
    listing = ":env:.find-links='/variable'\nglobal.find-links='/file'\ninstall.find-links='/section'\n"
    assert for_uv(listing, {})["UV_FIND_LINKS"] == "/variable"
    assert for_uv(listing.partition("\n")[2], {})["UV_FIND_LINKS"] == "/section"
    assert for_uv(listing, {"UV_FIND_LINKS": "/own"})["UV_FIND_LINKS"] == "/own"


def test_certificates_are_passed_on_where_the_file_exists(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    listing = f"global.cert='{file}'\n"
    assert "SSL_CERT_FILE" not in for_uv(listing, {})
    file.write_text("")
    assert for_uv(listing, {})["SSL_CERT_FILE"] == str(file)

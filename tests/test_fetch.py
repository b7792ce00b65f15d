"""Records are fetched from a server that answers as Zenodo does; nothing leaves its folder, nothing is half there."""

import gc
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from akpsim_cli.main import app
from pooch import downloaders
from typer.testing import CliRunner

from akpsim.errors import AkpsimError, InvalidData, StoreError
from akpsim.families.datasets.archives import unpack
from akpsim.families.datasets.fetch import fetch_record

# pooch leaves the connection of a download that is broken off to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def zipped(files):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return memory.getvalue()


def checksum(content):
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


class Zenodo:
    """A record on a local server: `files` are served, `listed` overrides what the record says about them."""

    def __init__(self):
        self.files, self.listed, self.requests, self.answer = {}, {}, [], None
        record = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                record.requests.append(self.path)
                name = self.path.rsplit("/", 2)[-2]
                body = record.files.get(name) if self.path.endswith("/content") else record.listing()
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/records"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def listing(self):
        """Answer as Zenodo's REST API documents a record: key, size, checksum and links.self of each file."""
        if self.answer is not None:
            return self.answer
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": checksum(content),
                "links": {"self": f"{self.url}/7648739/files/{name}/content"},
            }
            | self.listed.get(name, {})
            for name, content in self.files.items()
        ]
        return json.dumps({"id": 7648739, "files": files}).encode()

    def fetched(self):
        return [path.split("/")[-2] for path in self.requests if path.endswith("/content")]


@pytest.fixture
def zenodo(monkeypatch):
    record = Zenodo()
    record.files = {"wings.zip": zipped({"a/1.tif": b"one", "b ü/2.tif": b"two"}), "README.md": b"words"}
    monkeypatch.setattr(downloaders, "doi_to_url", lambda doi, **kwargs: f"https://zenodo.org/records/{doi[-7:]}")
    monkeypatch.setattr(downloaders.ZenodoRepository, "base_api_url", record.url)
    yield record
    record.server.shutdown()
    record.server.server_close()
    gc.collect()


def fault(*args, error=InvalidData, **kwargs):
    with pytest.raises(error) as caught:
        fetch_record(*args, **kwargs)
    return str(caught.value)


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_all_files_of_the_record_are_fetched_and_archives_unpacked(zenodo, tmp_path):
    got = fetch_record("wings", tmp_path / "out")
    assert names_below(tmp_path / "out") == [
        "README.md",
        "record.json",
        "wings.zip",
        "wings/a/1.tif",
        "wings/b ü/2.tif",
    ]
    assert (tmp_path / "out" / "wings" / "b ü" / "2.tif").read_bytes() == b"two"
    assert got["folders"] == [str(tmp_path / "out" / "wings")]
    assert got["doi"] == "10.5281/zenodo.7648739"


def test_what_is_complete_is_not_fetched_again(zenodo, tmp_path):
    fetch_record("wings", tmp_path / "out")
    fetch_record("wings", tmp_path / "out")
    assert sorted(zenodo.fetched()) == ["README.md", "wings.zip"]
    (tmp_path / "out" / "README.md").write_bytes(b"wor")  # as if cut short
    fetch_record("wings", tmp_path / "out")
    assert sorted(zenodo.fetched()) == ["README.md", "README.md", "wings.zip"]
    assert (tmp_path / "out" / "README.md").read_bytes() == b"words"


def test_a_wrong_checksum_is_refused_and_the_file_not_kept(zenodo, tmp_path):
    zenodo.listed = {"README.md": {"checksum": "md5:" + 32 * "0"}}
    assert fault("wings", tmp_path / "out") == (
        f"README.md does not have the checksum md5:{32 * '0'} of the record; it was not kept"
    )
    assert names_below(tmp_path / "out") == []


def test_a_record_that_changed_is_not_mixed_with_the_old_one(zenodo, tmp_path):
    fetch_record("wings", tmp_path / "out")
    zenodo.files["README.md"] = b"other words"
    assert fault("wings", tmp_path / "out") == (
        f"the record changed since it was fetched: README.md had {checksum(b'words')}, now {checksum(b'other words')}; "
        f"fetch into another folder than {tmp_path / 'out'}"
    )
    assert (tmp_path / "out" / "README.md").read_bytes() == b"words"


def test_sizes_are_limited_before_and_while_fetching(zenodo, tmp_path):
    assert "`--limit` is 1e-07" in fault("wings", tmp_path / "out", limit=1e-7)
    zenodo.listed = {"README.md": {"size": 10**18}}
    assert fault("wings", tmp_path / "out", limit=1e12, error=StoreError).endswith("GB are free")
    zenodo.listed = {"README.md": {"size": 2}}
    assert fault("wings", tmp_path / "out") == "README.md is larger than the 2 bytes that the record says"
    assert not (tmp_path / "out" / "README.md").exists()


def test_names_of_files_that_leave_the_folder_are_refused(zenodo, tmp_path):
    for name in ("../x", "a/b", "..", ".hidden", "a\\b"):
        zenodo.files = {name: b""}
        assert fault("wings", tmp_path / "out").endswith(f"has a file named {name!r}, which is no plain name")
    zenodo.files = {}
    assert fault("wings", tmp_path / "out") == "the record doi:10.5281/zenodo.7648739 has no open files"
    zenodo.answer = b'{"message": "gone"}'
    assert "answers in a way that is not understood" in fault("wings", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_server_that_breaks_off_says_how_to_go_on(zenodo, tmp_path):
    zenodo.listed = {"wings.zip": {"links": {"self": f"{zenodo.url}/7648739/files/absent/content"}}}
    assert (
        fault("wings", tmp_path / "out") == "wings.zip could not be fetched (HTTPError); run the command again to go on"
    )
    assert names_below(tmp_path / "out") == ["README.md"]
    zenodo.listed = {}
    fetch_record("wings", tmp_path / "out")
    assert zenodo.fetched().count("README.md") == 1


def test_offline_is_one_sentence(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", no_network)
    result = CliRunner().invoke(app, ["data", "fetch", "wings", "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr == (
        "akpsim: the record doi:10.5281/zenodo.7648739 cannot be reached (ConnectionError): fetching needs the "
        "network; `akpsim data wings` draws synthetic wings without it\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_to_do_next(zenodo, tmp_path):
    result = CliRunner().invoke(app, ["data", "fetch", "wings", "-o", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert "2 files of doi:10.5281/zenodo.7648739, checksums right" in result.stdout
    assert "next: `akpsim data stack IN OUT`" in result.stdout
    assert fault("wing", tmp_path, error=AkpsimError).startswith("unknown record 'wing': did you mean 'wings'?")


def refused(path, **kwargs):
    with pytest.raises(AkpsimError) as error:
        unpack(path, path.parent / "out", **kwargs)
    assert not (path.parent / "out").exists()
    assert not (path.parent / "escaped").exists()
    return str(error.value)


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped", "..\\escaped", "C:\\escaped"])
def test_a_zip_cannot_write_outside_its_folder(name, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"good": b"1"}))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(zipfile.ZipInfo(name), b"2")
    assert refused(path).startswith("x.zip holds ")
    assert refused(path).endswith("which leaves the folder; it was not unpacked")


def test_links_bombs_and_damage_in_a_zip_are_refused(tmp_path):
    path = tmp_path / "x.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc")
    assert refused(path) == "x.zip holds a link, 'link'; it was not unpacked"
    path.write_bytes(zipped({"zeros": bytes(10**6)}))
    assert refused(path, limit=1e-4) == "x.zip unpacks to more than 0.0001 GB or 200000 files"
    content = bytearray(zipped({"words": bytes(range(256)) * 4}))
    content[60:80] = bytes(20)
    path.write_bytes(content)
    assert "x.zip is damaged or cannot be unpacked: " in refused(path)
    path.write_bytes(content[:100])
    assert "x.zip is damaged or cannot be unpacked: " in refused(path)


def test_a_tar_is_unpacked_as_safely(tmp_path):
    path = tmp_path / "x.tar.gz"
    for info, message in (
        (tarfile.TarInfo("../escaped"), "x.tar.gz holds '../escaped', which leaves the folder; it was not unpacked"),
        (tarfile.TarInfo("link"), "x.tar.gz holds a link or device, 'link'; it was not unpacked"),
    ):
        with tarfile.open(path, "w:gz") as file:
            if info.name == "link":
                info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            file.addfile(info)
        assert refused(path) == message
    with tarfile.open(path, "w:gz") as file:
        good = tarfile.TarInfo("a/good")
        good.size = 3
        file.addfile(good, io.BytesIO(b"yes"))
    assert (unpack(path, tmp_path / "out") / "a" / "good").read_bytes() == b"yes"

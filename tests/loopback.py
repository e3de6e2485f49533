"""A stand-in for the model and dataset hub on a loopback port: the handful of answers that its real
clients ask for.

    with Hub(folder) as hub:    # folder/models/NAMESPACE/NAME/files, folder/datasets/...
        run(..., HF_ENDPOINT=hub.url)

Another revision of a model lies in folder/models/NAMESPACE/NAME@REVISION, where a / is a -.

Of the namespace "ill" the name says what is wrong: ill/reset (connections break), ill/cut (large
files end early), ill/garbled (they are whole and wrong), ill/401, ill/403, ill/429, ill/503; after
`hub.well.add("cut")` it is well again.
"""

import hashlib
import json
import re
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote



def commit(revision):
    return hashlib.sha1(revision.encode()).hexdigest()


class Hub:
    def __init__(self, folder):
        self.asked, self.well = [], set()

        class Handler(Answers):  # the server makes one for every connection
            pass

        Handler.folder, Handler.asked, Handler.well = Path(folder), self.asked, self.well
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def entry(path, repo):
    """A file or folder, as the hub's list of a repository has it."""
    name = str(path.relative_to(repo))
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
    return {"type": "file", "path": name, "size": path.stat().st_size, "oid": etag(path)}


API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?(?:/(.*))?")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        ill = re.search(r"/ill/(\w+)", path)
        self.ill = ill[1] if ill and ill[1] not in self.well else None
        api, file = API.fullmatch(path), FILE.fullmatch(path)
        if path == "/":
            self.answer(b"hub")
        elif self.ill == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        elif self.ill and self.ill.isdigit():
            again = {"Retry-After": "1"} if self.ill in ("429", "503") else {}
            self.answer(b"", int(self.ill), **again)
        elif api and (self.folder / api[1] / api[2]).is_dir():
            self.answer_about(*api.groups(default=""))
        elif file:
            self.answer_file(*file.groups())
        else:
            self.answer_missing("RepoNotFound")

    do_HEAD = do_GET

    def find(self, kind, name, revision):
        """A repository's folder at a revision, or at a commit, and that commit. Datasets have but
        one."""
        repo, asked = self.folder / kind / name, unquote(revision or "main")
        if kind == "datasets":
            return repo, commit("main")
        revisions = {commit("main"): repo}
        for other in repo.parent.glob(f"{repo.name}@*"):
            revisions[commit(other.name.partition("@")[2])] = other
        sha = asked if asked in revisions else commit(asked.replace("/", "-"))
        return revisions.get(sha), sha

    def answer_about(self, kind, name, what, revision, under):
        repo, sha = self.find(kind, name, revision)
        if not repo:
            return self.answer_missing("RevisionNotFound")
        if what == "tree":
            pattern = "**/*" if "recursive=true" in self.path.lower() else "*"
            paths = sorted((repo / unquote(under or "")).glob(pattern))
            about = [entry(path, repo) for path in paths]
        else:
            paths = [path for path in sorted(repo.rglob("*")) if path.is_file()]
            files = [{"rfilename": str(path.relative_to(repo))} for path in paths]
            about = {"id": name, "sha": sha, "siblings": files}
        self.answer(json.dumps(about).encode())

    def answer_file(self, is_dataset, name, revision, file):
        kind = "datasets" if is_dataset else "models"
        repo, sha = self.find(kind, name, revision)
        if repo and (repo / file).is_file():
            headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
            body = (repo / file).read_bytes()
            self.answer(body, ETag=f'"{etag(repo / file)}"', **headers)
        elif not (self.folder / kind / name).is_dir():
            self.answer_missing("RepoNotFound")
        else:
            self.answer_missing("EntryNotFound" if repo else "RevisionNotFound", sha)

    def answer_missing(self, code, sha=""):
        headers = {"X-Error-Code": code, "X-Error-Message": "not here"}
        if sha:
            headers["X-Repo-Commit"] = sha
        self.answer(b"", 404, **headers)

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return

        is_large = len(body) > 50_000
        if is_large and self.ill == "cut":
            body = body[: len(body) // 2]
            self.close_connection = True
        if is_large and self.ill == "garbled":
            body = bytes(len(body))
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def etag(path):
    return hashlib.sha1(path.read_bytes()).hexdigest()

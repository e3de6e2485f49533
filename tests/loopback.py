"""A stand-in for the model and dataset hub on a loopback port: the handful of answers that its real clients ask for.

    with Hub(folder) as hub:    # folder/models/NAMESPACE/NAME/files, folder/datasets/NAMESPACE/NAME/files
        run(..., HF_ENDPOINT=hub.url)

Of the namespace "ill" the name says what is wrong: ill/reset (connections break), ill/cut (large files end early), ill/garbled
(they are whole and wrong), ill/401, ill/403, ill/429, ill/503; after `hub.well.add("cut")` it is well again.
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

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    def __init__(self, folder):
        self.asked, self.well = [], set()
        handler = type("Handler", (Answers,), {"folder": Path(folder), "asked": self.asked, "well": self.well, "protocol_version": "HTTP/1.1"})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def entry(path, repo):
    if path.is_dir():
        return {"type": "directory", "path": str(path.relative_to(repo)), "size": 0, "oid": "0" * 40}
    return {"type": "file", "path": str(path.relative_to(repo)), "size": path.stat().st_size, "oid": etag(path)}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        api = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/[^/]+)?(?:/(.*))?", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        ill = re.search(r"/ill/(\w+)", path)
        self.ill = ill[1] if ill and ill[1] not in self.well else None
        if path == "/":
            self.answer(b"hub")
        elif self.ill == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif self.ill and self.ill.isdigit():
            self.answer(b"", int(self.ill), **{"Retry-After": "1"} if self.ill in ("429", "503") else {})
        elif api and (repo := self.folder / api[1] / api[2]).is_dir():
            if api[3] == "tree":
                deep = "recursive=true" in self.path.lower()
                found = (repo / unquote(api[4] or "")).glob("**/*" if deep else "*")
                self.answer(json.dumps([entry(p, repo) for p in sorted(found)]).encode())
            else:
                files = [{"rfilename": str(p.relative_to(repo))} for p in sorted(repo.rglob("*")) if p.is_file()]
                self.answer(json.dumps({"id": api[2], "sha": COMMIT, "siblings": files}).encode())
        elif file and (local := self.folder / ("datasets" if file[1] else "models") / file[2] / file[3]).is_file():
            self.answer(local.read_bytes(), ETag=f'"{etag(local)}"', **{"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"})
        else:
            known = file and (self.folder / ("datasets" if file[1] else "models") / file[2]).is_dir()
            code = "EntryNotFound" if known else "RepoNotFound"
            self.answer(b"", 404, **{"X-Error-Code": code, "X-Error-Message": "not here", "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            if len(body) > 50_000 and self.ill == "cut":
                body, self.close_connection = body[: len(body) // 2], True
            elif len(body) > 50_000 and self.ill == "garbled":
                body = bytes(len(body))
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def etag(path):
    return hashlib.sha1(path.read_bytes()).hexdigest()

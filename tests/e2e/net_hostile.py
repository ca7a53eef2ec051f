"""A server that answers as no server should: net_hostile.py FILE. Prints its port; each path is a way to be
wrong. Ends when its standard input is closed."""
import os
import socket
import sys
import threading
import time

data = open(sys.argv[1], "rb").read()
counts = {}
lock = threading.Lock()


def head(status, fields):
    lines = ["HTTP/1.1 %s" % status, "Connection: close"] + ["%s: %s" % f for f in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def part(first, last, size=None, tag='"v1"', body=None, told=None):
    body = data[first:last + 1] if body is None else body
    told = told or (first, last)
    return head("206 Partial Content", [
        ("Content-Range", "bytes %d-%d/%d" % (told[0], told[1], size or len(data))), ("ETag", tag),
        ("Content-Length", last - first + 1)]) + body


def answer(path, first, last, number, send):
    if path == "/good":
        send(part(first, last))
    elif path == "/cut":  # every other answer ends early
        whole = part(first, last)
        send(whole[:len(whole) * 2 // 3] if number % 2 else whole)
    elif path == "/always-cut":
        send(part(first, last)[:200])
    elif path == "/stall":
        send(part(first, last)[:200])
        time.sleep(30)
    elif path == "/drip":  # slow, but alive
        whole = part(first, last)
        for i in range(8):
            send(whole[len(whole) * i // 8:len(whole) * (i + 1) // 8])
            time.sleep(0.02)
    elif path == "/wrong":
        send(part(first, last, told=(first + 1, last + 1)))
    elif path == "/change":
        send(part(first, last, tag='"v1"' if number < 2 else '"v2"'))
    elif path == "/whole":
        send(head("200 OK", [("Content-Length", len(data))]) + data)
    elif path == "/whole-no-length":
        send(head("200 OK", []) + data)
    elif path == "/liar":  # of what is not there it sends zeros
        body = data[first:last + 1]
        send(part(first, last, size=len(data) * 1000, body=body + bytes(last + 1 - first - len(body))))
    elif path == "/endless":
        send(head("206 Partial Content", [("Content-Range", "bytes %d-%d/%d" % (first, last, len(data)))]))
        while True:
            send(b"x" * 65536)
    elif path == "/endless-whole":
        send(head("200 OK", [("Content-Length", 1 << 40)]))
        while True:
            send(b"x" * 65536)
    elif path == "/gzip":
        send(head("206 Partial Content", [("Content-Range", "bytes %d-%d/%d" % (first, last, len(data))),
                                          ("Content-Encoding", "gzip")]) + data[first:last + 1])
    elif path == "/garbage":
        send(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)
    elif path == "/head":  # a head without an end
        send(b"HTTP/1.1 206 Partial Content\r\n")
        while True:
            send(b"X-More: " + b"y" * 60000 + b"\r\n")
    elif path == "/loop":
        send(head("302 Found", [("Location", "/loop"), ("Content-Length", 0)]))
    elif path == "/file":
        send(head("302 Found", [("Location", "file:///etc/passwd"), ("Content-Length", 0)]))
    elif path == "/negative":
        send(head("206 Partial Content", [("Content-Range", "bytes -5--1/-1"), ("Content-Length", "-7")]))
    elif path == "/busy":
        send(head("503 Busy", [("Content-Length", 0)]) if number % 2 else part(first, last))
    else:
        send(head("404 Not Found", [("Content-Length", 0)]))


def serve(connection):
    try:
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.recv(65536)
            if not more:
                return
            request += more
        lines = request.decode("latin-1").split("\r\n")
        path = lines[0].split()[1]
        span = [l.split("=")[1] for l in lines if l.lower().startswith("range:")][0]
        first, last = (int(n) for n in span.split("-"))
        if path != "/liar":
            last = min(last, len(data) - 1)
        with lock:
            number = counts.get(path, 0)
            counts[path] = number + 1
        answer(path, first, last, number, connection.sendall)
    except (OSError, IndexError):
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
os._exit(0)

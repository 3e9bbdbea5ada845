"""A user's model that downloads its weights, behind a proxy that asks for a password: Keras's own
code, a real proxy on this machine.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

LOGIN = "ann%40work:pass%2Fw0rd"
SENT = base64.b64encode(b"ann@work:pass/w0rd").decode()
SECRETS = (LOGIN, "ann@work:pass/w0rd", SENT, "pass%2Fw0rd", "pass/w0rd")
MODEL = """
import os
import keras
import numpy as np

def build():
    file = keras.utils.get_file("weights.txt", "http://models.invalid/weights.txt", cache_subdir="models")
    scale = float(open(file).read())
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="mine")(inputs) * scale)
    model.compile(optimizer="sgd", loss="mean_squared_error")
    return model

def telling():
    print(os.environ["http_proxy"], flush=True)
    raise ValueError(f"no way through {os.environ['http_proxy']} nor user:other@elsewhere, see https://user:secret@host/x")

def dying():
    print("last words:", os.environ["http_proxy"], flush=True)
    os.abort()

def configured():
    assert keras.config.floatx() == "float32", keras.config.floatx()
    return build()
"""


@pytest.fixture
def proxy():
    """A proxy that lets through whoever has the password, and answers for the whole network itself;
    gives its port and what was asked.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Proxy-Authorization") == f"Basic {SENT}"
            asked.append((self.path, known))
            self.send_response(200 if known else 407)
            self.end_headers()
            self.wfile.write(b"2.0" if known else b"who are you?")

        def log_message(self, *rest):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def user(project, tmp_path, proxy):
    """A project of a user who has a home of their own and sits behind the proxy; gives how to check
    a model there.
    """
    (project.root / "model.py").write_text(MODEL)
    (tmp_path / "home").mkdir()
    surroundings = {"HOME": str(tmp_path / "home"), "HARNESS_CACHE_DIR": str(tmp_path / "cache")}
    surroundings |= {
        "http_proxy": f"http://{LOGIN}@127.0.0.1:{proxy[0]}",
        "no_proxy": "",
        "KERAS_HOME": str(tmp_path / "home" / ".keras"),
    }

    def check(function):
        arguments = (
            "parity",
            "jax",
            "tensorflow",
            "--model",
            f"model.py:{function}",
            *("--threads", "1", "--quick", "--json", "found.json"),
        )
        done = project.run(*arguments, **surroundings)
        return done, json.loads((project.root / "found.json").read_text())

    return check


def test_one_download_serves_all_workers_and_the_next_check_too(user, proxy, tmp_path):
    for _ in range(2):
        done, found = user("build")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [each["verdict"] for each in found["backends"]] == ["agrees", "agrees"]
    assert proxy[1] == [("http://models.invalid/weights.txt", True)]
    assert (tmp_path / "cache" / "keras" / "models" / "weights.txt").read_text() == "2.0"
    assert list((tmp_path / "home").iterdir()) == [], "nothing is written among the user's own"


def test_what_the_user_has_downloaded_is_used_and_what_the_user_has_configured_is_not(
    user, proxy, tmp_path
):
    mine = tmp_path / "home" / ".keras"
    (mine / "models").mkdir(parents=True)
    (mine / "models" / "weights.txt").write_text("3.0")
    (mine / "keras.json").write_text('{"floatx": "float64", "backend": "torch"}')
    done, found = user("configured")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each["verdict"] for each in found["backends"]] == ["agrees", "agrees"]
    assert proxy[1] == []


@pytest.mark.parametrize("function", ["telling", "dying"])
def test_a_proxy_s_password_is_in_no_reason_record_or_log(user, function):
    done, found = user(function)
    assert done.returncode == 1, done.stdout + done.stderr
    told = done.stdout + done.stderr + json.dumps(found)
    assert "***@127.0.0.1" in told
    assert [secret for secret in (*SECRETS, "user:secret") if secret in told] == []

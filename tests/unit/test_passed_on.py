"""What reaches a worker of its user's network, and what of that reaches nobody else."""

import base64
import random
import string

import pytest

from harness.environments.passed_on import keep_downloads, lend_downloads, network_variables, redact

GIVEN = {
    name: f"http://proxy/{name}"
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "https_proxy")
}
LOGIN = "ann%40work:pass%2Fw0rd"
PROXY = {"HTTPS_PROXY": f"http://{LOGIN}@proxy:3128"}


def test_every_variable_of_the_network_in_both_cases_reaches_a_worker_and_no_other_does():
    others = {"XLA_FLAGS": "--x", "PYTHONPATH": "/x", "KERAS_HOME": "/x", "HF_TOKEN": "secret"}
    certificates = {
        "SSL_CERT_FILE": "/a.pem",
        "SSL_CERT_DIR": "/certs",
        "REQUESTS_CA_BUNDLE": "/b.pem",
        "XDG_CACHE_HOME": "/cache",
    }
    assert network_variables(GIVEN | certificates | others) == GIVEN | certificates


def test_a_certificate_s_relative_path_is_that_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert network_variables({"SSL_CERT_FILE": "certs/a.pem"}) == {
        "SSL_CERT_FILE": str(tmp_path / "certs/a.pem")
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"cannot reach http://{LOGIN}@proxy:3128/", "cannot reach http://***@proxy:3128/"),
        ("ProxyError: ann@work:pass/w0rd", "ProxyError: ***"),
        (f"sent Basic {base64.b64encode(b'ann@work:pass/w0rd').decode()}", "sent Basic ***"),
        ("https://token@host/x and ftp://u:p@q@host", "https://***@host/x and ftp://***@host"),
        (
            "see https://keras.io/api, write to someone@keras.io",
            "see https://keras.io/api, write to someone@keras.io",
        ),
        ("a matrix product x @ w // 2 @ y", "a matrix product x @ w // 2 @ y"),
    ],
)
def test_what_a_worker_says_names_no_user_and_no_password_of_an_address(said, told):
    assert redact(said, PROXY) == told
    assert redact({"refused": [said], "n": 3}, PROXY) == {"refused": [told], "n": 3}


def test_no_login_is_left_in_any_text():
    draw = random.Random(0)
    letters = "".join(sorted(set(string.printable[:94]) - set("/@\"'<>#?")))
    for _ in range(500):
        user, password = ("".join(draw.choices(letters, k=draw.randint(1, 12))) for _ in range(2))
        before, after = (
            "".join(draw.choices(string.printable, k=draw.randint(0, 40))) for _ in range(2)
        )
        address = f"http://{user}:{password}@proxy.invalid:3128"
        told = redact({"reason": f"{before} {address}/{after}"}, {"http_proxy": address})
        assert f"//{user}:{password}@" not in told["reason"]
        assert "proxy.invalid:3128" in told["reason"]


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """The user's own Keras folder, the shared one and the one of a worker."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "mine"))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "mine", tmp_path / "cache" / "keras", tmp_path / "worker"


def planted(home, inner, text):
    (home / inner).parent.mkdir(parents=True, exist_ok=True)
    (home / inner).write_text(text)


def test_a_worker_sees_all_downloads_and_no_configuration_and_its_own_are_kept(homes):
    mine, shared, worker = homes
    for home, inner in (
        (mine, "models/own.h5"),
        (mine, "keras.json"),
        (shared, "datasets/shared.npz"),
        (mine, "datasets/shared.npz"),
    ):
        planted(home, inner, f"{home.name} {inner}")
    lend_downloads(worker)
    assert (worker / "models/own.h5").read_text() == "mine models/own.h5"
    assert (worker / "datasets/shared.npz").read_text() == "keras datasets/shared.npz"
    assert not (worker / "keras.json").exists()
    planted(worker, "models/new.h5", "new")
    planted(worker, "tokenizers/words_extracted/a.txt", "words")
    planted(worker, "keras.json", "{}")
    keep_downloads(worker)
    kept = {str(file.relative_to(shared)) for file in shared.rglob("*") if file.is_file()}
    assert kept == {"datasets/shared.npz", "models/new.h5", "tokenizers/words_extracted/a.txt"}
    assert {str(file.relative_to(mine)) for file in mine.rglob("*") if file.is_file()} == {
        "models/own.h5",
        "keras.json",
        "datasets/shared.npz",
    }


def test_the_first_download_of_a_name_is_kept_and_a_full_or_missing_cache_fails_nothing(
    homes, monkeypatch
):
    mine, shared, worker = homes
    planted(worker, "models/a.h5", "first")
    keep_downloads(worker)
    planted(worker.with_name("second"), "models/a.h5", "second")
    keep_downloads(worker.with_name("second"))
    assert (shared / "models/a.h5").read_text() == "first"
    planted(mine.with_name("file"), "x", "")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(mine.with_name("file") / "x"))
    lend_downloads(worker.with_name("third"))
    planted(worker.with_name("third"), "models/b.h5", "b")
    keep_downloads(worker.with_name("third"))
    assert (worker.with_name("third") / "models/b.h5").read_text() == "b"

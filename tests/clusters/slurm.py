"""A SLURM cluster of two nodes on this machine, started by a test and ended with it.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and to be root, as slurmd does.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "scontrol")
CONF = """
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ReturnToService=2
SlurmdTimeout=10
KillWait=5
JobRequeue=1
MpiDefault=none
{nodes}
PartitionName=main Nodes=ALL Default=YES State=UP OverSubscribe=EXCLUSIVE
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Slurm:
    """A controller and two nodes; `variables` are what its clients need."""

    def __init__(self, folder: Path) -> None:
        missing = [each for each in PROGRAMS if not shutil.which(each, path=self.path())]
        hint = "apt-get install slurmctld slurmd slurm-client munge"
        assert not missing, f"not installed: {', '.join(missing)}. {hint}"
        self.folder, self.processes = folder, {}
        folder.chmod(0o755)
        (folder / "state").mkdir()
        host = socket.gethostname().partition(".")[0]
        nodes = "\n".join(
            f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={os.cpu_count()} State=UNKNOWN"
            for number in (1, 2)
        )
        conf = CONF.format(host=f"{host}(127.0.0.1)", port=free_port(), folder=folder, nodes=nodes)
        (folder / "slurm.conf").write_text(conf)
        (folder / "cgroup.conf").write_text("")
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": self.path()}
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def path():
        return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])

    def start(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        names = {"key-file": key, "seed-file": self.folder / "munge.seed"}
        names |= {"socket": self.folder / "munge.socket", "pid-file": self.folder / "munge.pid"}
        options = [f"--{name}={file}" for name, file in names.items()]
        self.run_daemon("munged", "--foreground", "--force", "--syslog", *options)
        self.wait_for((self.folder / "munge.socket").exists, "munged")
        self.run_daemon("slurmctld", "-D", "-i", "-c")
        for name in ("n1", "n2"):
            self.start_node(name)
        self.wait_for(
            lambda: self.client("sinfo", "-h", "-o", "%t %D").strip() == "idle 2", "nodes"
        )

    def start_node(self, name):
        self.run_daemon("slurmd", "-D", "-N", name, key=name)

    def run_daemon(self, *command, key=None):
        with (self.folder / f"{key or command[0]}.out").open("ab") as log:
            self.processes[key or command[0]] = subprocess.Popen(
                command,
                env=os.environ | self.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def client(self, *command):
        """What one of SLURM's own programs prints."""
        environment = os.environ | self.variables
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def jobs(self):
        """The numbers and nodes of jobs that run."""
        lines = self.client("squeue", "-h", "-t", "R", "-o", "%A %N").splitlines()
        return dict(line.split() for line in lines)

    def kill_node(self, name):
        """Kill a node's daemon, and all that it has started, as a loss of power would."""
        import psutil

        ended = self.processes.pop(name)
        daemon = psutil.Process(ended.pid)
        steps = [
            each
            for each in psutil.process_iter(["name", "cmdline"])
            if "slurmstepd" in (each.info["name"] or "") and self.is_of(each, name)
        ]
        victims = [daemon, *steps]
        victims += [child for each in victims for child in each.children(recursive=True)]
        for each in victims:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        ended.wait()

    def is_of(self, step, name):
        """Whether a job's process is a node's: jobs on it are those that squeue names."""
        text = " ".join(step.info["cmdline"] or ())
        return any(
            f"[{job}." in text or f"{job}." in text for job, at in self.jobs().items() if at == name
        )

    def stop(self):
        self.client("scancel", "--signal=KILL", "--full", *self.jobs())
        for each in reversed(self.processes.values()):
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGTERM)
        for each in self.processes.values():
            try:
                each.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(each.pid, signal.SIGKILL)
                each.wait()

    def wait_for(self, true, what, limit_s=60.0):
        end = time.monotonic() + limit_s
        while not true():
            logs = [file.read_text()[-600:] for file in self.folder.glob("*.out")]
            assert time.monotonic() < end, f"{what}: it never came so far\n" + "\n".join(logs)
            time.sleep(0.2)

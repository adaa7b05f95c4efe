"""Drives wharfie through python-on-whales, as it drives docker: its typed models read every answer.

Called by tests/it/client.rs with the command that stands for docker. Says `done` at the end."""

import datetime
import sys

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException, NoSuchContainer, NoSuchImage

docker = DockerClient(client_call=sys.argv[1:])
utc = datetime.timezone.utc
never = datetime.datetime(1, 1, 1, tzinfo=utc)

version = docker.version()
assert version.server.api_version == version.client.api_version, version
assert [part.name for part in version.server.components] == ["Engine", "containerd", "runc"], version
info = docker.system.info()
assert (info.containers, info.os_type, info.driver) == (0, "linux", "overlayfs"), info
assert info.n_cpu > 0 and info.mem_total > 0 and info.system_time, info

[image] = docker.image.list()
assert image.repo_tags == ["busybox:latest"] and image.id.startswith("sha256:"), image.repo_tags
assert image.size > 0 and image.created.tzinfo and image.config.cmd == ["sh"], image
assert image.architecture in ("amd64", "arm64") and image.os == "linux" and image.root_fs.layers, image
assert docker.image.exists("busybox") and not docker.image.exists("nothing-here")
try:
    docker.image.inspect("nothing-here")
    raise SystemExit("an image that is not there")
except NoSuchImage:
    pass

assert docker.run("busybox", ["echo", "hi"], remove=True) == "hi"
try:
    docker.run("busybox", ["sh", "-c", "echo words >&2; exit 3"], remove=True)
    raise SystemExit("a failure that was none")
except DockerException as error:
    assert error.return_code == 3, error
streamed = docker.run("busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stream=True)
assert sorted(streamed) == [("stderr", b"err\n"), ("stdout", b"out\n")]

box = docker.run(
    "busybox",
    ["sleep", "1000"],
    detach=True,
    name="box",
    labels={"a": "b"},
    envs={"X": "y"},
    volumes=[("/data",), ("/tmp", "/host", "ro")],
    memory="64m",
    cpus=0.5,
    hostname="inner",
    restart="on-failure:3",
    publish=[("127.0.0.1:0", 80)],
    cap_add=["NET_ADMIN"],
    ulimit=["nofile=1000:2000"],
    sysctl={"net.ipv4.ip_forward": "1"},
    stop_timeout=1,
)
box.reload()
state = box.state
assert (state.status, state.running, state.paused, state.oom_killed, state.dead) == (
    "running", True, False, False, False,
), state
assert state.pid > 0 and state.exit_code == 0 and state.finished_at == never, state
assert datetime.datetime.now(utc) - state.started_at < datetime.timedelta(minutes=5), state
assert len(box.id) == 64 and box.name == "box" and box.path == "sleep" and box.args == ["1000"]
assert box.config.labels == {"a": "b"} and "X=y" in box.config.env and box.config.hostname == "inner"
host = box.host_config
assert (host.memory, host.nano_cpus, host.restart_policy.name) == (64 << 20, 500_000_000, "on-failure"), host
assert host.cap_add and host.ulimits and host.sysctls and not host.privileged and not host.auto_remove, host
assert sorted(mount.destination for mount in box.mounts) == ["/data", "/host"], box.mounts
[bound] = [mount for mount in box.mounts if mount.type == "bind"]
assert (bound.source, bound.rw) == ("/tmp", False), bound
network = box.network_settings.networks["bridge"]
assert network.ip_address and network.gateway and network.mac_address, network
assert box.network_settings.ports["80/tcp"][0]["HostIp"] == "127.0.0.1", box.network_settings
assert not box.exec_ids

assert [one.name for one in docker.container.list()] == ["box"]
assert [one.name for one in docker.container.list(all=True, filters=[("label", "a=b")])] == ["box"]
assert box.execute(["sh", "-c", "echo $X"]) == "y"
assert box.execute(["id", "-u"], user="12", envs={"A": "1"}, workdir="/tmp") == "12"
docker.container.execute(box, ["sleep", "500"], detach=True)
box.reload()
assert len(box.exec_ids) == 1, box.exec_ids
assert docker.container.exists("box") and not docker.container.exists("nobody")
try:
    docker.container.inspect("nobody")
    raise SystemExit("a container that is not there")
except NoSuchContainer:
    pass

docker.container.stop(box, time=1)
box.reload()
assert (box.state.status, box.state.exit_code, box.state.running) == ("exited", 137, False), box.state
assert box.state.finished_at > box.state.started_at, box.state
box.start()
docker.container.restart(box, time=1)
box.kill()
assert docker.container.wait(box) == 137
talker = docker.container.create("busybox", ["sh", "-c", "echo one; echo two >&2"], name="talker")
assert talker.state.status == "created" and talker.state.started_at == never, talker.state
docker.container.start(talker, attach=True)
assert sorted(docker.container.logs(talker).split()) == ["one", "two"]
docker.container.remove([box, talker], force=True, volumes=True)
docker.image.tag("busybox", "other:1")
docker.image.remove("other:1")
assert docker.container.list(all=True) == []
print("done")

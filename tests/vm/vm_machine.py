"""The test VM itself: QEMU, virtiofsd, the image of a started machine."""
import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

from vm_channel import die

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get('CORACLE_VM_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'coracle-vm')
FORMAT = 1                           # count up when the machine's devices or kernel arguments change


def guest_dir():
    build = os.path.join(HERE, 'build')
    if subprocess.run([build, '--guest'], stdout=sys.stderr).returncode:
        die('the guest could not be built')
    return subprocess.run([build, '--print'], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def accel(guest):
    """KVM only where a stock kernel really boots on it; tried once per boot of the host."""
    forced = os.environ.get('CORACLE_VM_ACCEL')
    if forced:
        return forced
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return 'tcg'
    with open('/proc/sys/kernel/random/boot_id') as f:
        boot_id = f.read().strip()
    memo = os.path.join(CACHE, 'accel')
    try:
        with open(memo) as f:
            known, name = f.read().split()
            if known == boot_id:
                return name
    except (OSError, ValueError):
        pass
    name = 'tcg'
    try:
        out = subprocess.run(
            ['qemu-system-x86_64', '-M', 'pc', '-accel', 'kvm', '-cpu', 'host', '-m', '256', '-nodefaults',
             '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', f'{guest}/vmlinuz',
             '-initrd', f'{guest}/initrd.cpio', '-append', 'console=ttyS0 quiet panic=-1 coracle.probe '],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5).stdout
        if b'CORACLE-PROBE-OK' in out:
            name = 'kvm'
    except (OSError, subprocess.TimeoutExpired):
        pass
    with open(memo + '.new', 'w') as f:
        f.write(f'{boot_id} {name}\n')
    os.rename(memo + '.new', memo)
    return name


def virtiofsd():
    for path in ('/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'):
        if os.access(path, os.X_OK):
            return path
    die('virtiofsd is missing; see build --deps')


class Qmp:
    def __init__(self, sock):
        self.file = sock.makefile('rw')
        self.read()
        self('qmp_capabilities')

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError('qemu went away')
        return json.loads(line)

    def __call__(self, command, **args):
        self.file.write(json.dumps({'execute': command, 'arguments': args}) + '\n')
        self.file.flush()
        while True:
            answer = self.read()
            if 'return' in answer:
                return answer['return']
            if 'error' in answer:
                raise RuntimeError(f'{command}: {answer["error"]["desc"]}')

    def migrated(self, wanted):
        while True:
            status = self('query-migrate').get('status')
            if status == 'completed':
                return
            if status in ('failed', 'cancelled'):
                raise RuntimeError(f'the machine image: {status}')
            time.sleep(0.02)


def template_of(guest, opts, kind):
    """Where the image of a started machine with these options is; None: not for them."""
    if opts.cold or opts.append or kind != 'tcg':
        return None
    version = subprocess.run(['qemu-system-x86_64', '--version'], stdout=subprocess.PIPE).stdout
    text = version + repr((FORMAT, WARM_UP, opts.mem, opts.cpus, opts.cpu, opts.net, opts.apparmor)).encode()
    return f'{guest}/machine-{hashlib.sha256(text).hexdigest()[:12]}'


WARM_UP = r"""
set -e
export TMPDIR=/var/tmp
share=/usr/local/share/coracle-vm
modprobe -a fuse virtiofs overlay veth bridge br_netfilter nf_tables nft_compat loop tun dummy || true
podman load -q -i $share/busybox.tar
for r in crun runc; do podman --runtime $r run --rm localhost/busybox true; done
as-user podman load -q -i $share/busybox.tar
as-user podman run --rm localhost/busybox true
systemctl start docker
docker load -q -i $share/busybox.tar
docker run --rm localhost/busybox true
ctr image import $share/busybox.tar
ctr run --rm localhost/busybox:latest warm true
systemctl stop docker.socket docker containerd
loginctl disable-linger tester
systemctl stop user@1000 user-1000.slice
rm -f /var/lib/systemd/linger/tester
ip link delete docker0 || true
sync
"""


def copy_sparse(src, dst):
    size = os.fstat(src).st_size
    os.ftruncate(dst, size)
    pos = 0
    while pos < size:
        try:
            pos = os.lseek(src, pos, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(src, pos, os.SEEK_HOLE)
        os.lseek(dst, pos, os.SEEK_SET)
        while pos < end:
            pos += os.sendfile(dst, src, pos, min(end - pos, 1 << 27))


class Machine:
    """QEMU and virtiofsd, and the guest's end of the command channel."""

    def __init__(self, state, opts):
        self.state = state
        self.procs = []
        self.opts = opts
        self.record = getattr(opts, 'record', None)
        self.started = time.monotonic()
        guest = guest_dir()
        kind = accel(guest)
        template = None if self.record else template_of(guest, opts, kind)
        self.restored = template is not None
        cmdline = ['console=ttyS0', 'panic=-1', 'root=/dev/vda', 'rw', 'mitigations=off', 'nokaslr',
                   'no_timer_check', 'random.trust_cpu=on', 'audit=0', 'selinux=0',
                   'cryptomgr.notests', 'rcupdate.rcu_expedited=1', 'quiet', 'loglevel=4',
                   'systemd.show_status=0',
                   'apparmor=1' if opts.apparmor else 'apparmor=0', *opts.append]
        memory = os.memfd_create('coracle-vm')
        if self.record:
            memory = os.open(f'{self.record}/memory', os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(memory, opts.mem << 20)
        disk = f'file={guest}/disk.img,format=raw,snapshot=on'
        if self.record:
            disk = f'file={self.record}/disk,format=qcow2'
        elif template:
            disk = f'file={template}/disk,format=qcow2,snapshot=on'
            with open(f'{template}/memory', 'rb') as f:
                copy_sparse(f.fileno(), memory)
        host, self.chan = socket.socketpair()
        qmp_host, qmp = socket.socketpair()
        cmd = ['qemu-system-x86_64', '-M', 'pc,vmport=off,memory-backend=ram',
               '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
               '-object', f'memory-backend-file,id=ram,size={opts.mem}M,share=on,mem-path=/proc/self/fd/{memory}',
               '-m', f'{opts.mem}M', '-smp', str(opts.cpus)]
        if kind == 'kvm':
            cmd += ['-accel', 'kvm', '-cpu', 'host']
        else:
            cmd += ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', opts.cpu]
        cmd += ['-kernel', f'{guest}/vmlinuz', '-initrd', f'{guest}/initrd.cpio',
                '-append', ' '.join(cmdline) + ' ',
                '-drive', f'{disk},if=none,id=root,cache=unsafe,aio=threads',
                '-device', 'virtio-blk-pci,drive=root',
                '-serial', f'file:{state}/console',
                '-chardev', f'socket,id=agent,fd={host.fileno()}',
                '-device', 'virtio-serial-pci,max_ports=2',
                '-device', 'virtserialport,chardev=agent,name=coracle.agent',
                '-device', 'virtio-rng-pci',
                '-chardev', f'socket,id=qmp,fd={qmp_host.fileno()}', '-mon', 'chardev=qmp,mode=control']
        if opts.net:
            cmd += ['-netdev', 'user,id=net,restrict=on', '-device', 'virtio-net-pci,netdev=net']
        if opts.dir:
            cmd += ['-chardev', f'socket,id=fs,path={self.share(opts.dir)}']
        if template:
            cmd += ['-incoming', 'defer']
        with open(f'{state}/qemu.log', 'w') as log:
            self.qemu = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         pass_fds=[host.fileno(), qmp_host.fileno(), memory],
                                         preexec_fn=die_with_parent, env={**os.environ, 'TMPDIR': state})
        self.procs.append(self.qemu)
        host.close()
        qmp_host.close()
        os.close(memory)
        try:
            self.qmp = Qmp(qmp)
            self.qmp('migrate-set-capabilities', capabilities=[{'capability': 'x-ignore-shared', 'state': True}])
            if template:
                self.qmp('migrate-incoming', uri=f'exec:exec cat {template}/state')
                self.qmp.migrated('completed')
                if self.qmp('query-status')['status'] != 'running':
                    self.qmp('cont')
            if opts.dir:
                self.qmp('device_add', driver='vhost-user-fs-pci', id='fs', chardev='fs', tag='coracle',
                         **{'queue-size': 1024})
        except (ConnectionError, RuntimeError) as e:
            self.stop()
            die(f'{e}\n{self.logs()}')

    def hello(self):
        return json.dumps({'time': time.time(), 'seed': base64.b64encode(os.urandom(64)).decode(),
                           'dirs': self.opts.dir}).encode()

    def save(self):
        self.qmp('stop')
        self.qmp('migrate', uri=f'exec:exec cat > {self.record}/state')
        self.qmp.migrated('completed')
        self.qmp('quit')
        self.qemu.wait()

    def share(self, dirs):
        """One virtiofs device for all directories: a tree of bind mounts in a mount
        namespace of its own, which virtiofsd serves and the agent spreads out."""
        tree = f'{self.state}/share'
        os.mkdir(tree)
        script = ['set -e', 'tree=$1', 'shift', 'mount -t tmpfs -o mode=755 none "$tree"']
        for i, d in enumerate(dirs):
            script.append(f'mkdir "$tree/{i}"; mount --rbind "$1" "$tree/{i}"; shift')
        script.append(f'exec {virtiofsd()} --fd=3 -o source="$tree",cache=auto,timeout=0,xattr,flock,no_posix_lock,'
                      'announce_submounts --thread-pool-size=0')
        sock = socket.socket(socket.AF_UNIX)
        path = f'{self.state}/fs.sock'
        sock.bind(path)
        sock.listen(1)
        fd = sock.fileno()

        def child():
            die_with_parent()
            os.dup2(fd, 3)
            os.set_inheritable(3, True)
        with open(f'{self.state}/virtiofsd.log', 'w') as log:
            self.procs.append(subprocess.Popen(
                ['unshare', '--mount', 'sh', '-c', '\n'.join(script), 'sh', tree, *dirs],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False, preexec_fn=child))
        sock.close()
        return path

    def stop(self):
        for p in self.procs:
            if p.poll() is None:
                p.kill()
        for p in self.procs:
            p.wait()

    def logs(self):
        text = ''
        for name in ('qemu.log', 'virtiofsd.log', 'console'):
            try:
                with open(f'{self.state}/{name}', errors='replace') as f:
                    tail = f.read()[-3000:].replace('\r', '')
                if tail.strip():
                    text += f'--- {name}\n{tail}\n'
            except OSError:
                pass
        return text


def die_with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.setpgid(0, 0)                 # a terminal's ^C goes to the command, not to the machine

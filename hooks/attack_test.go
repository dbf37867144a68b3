package hooks

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/tests/need"
)

// TestMain lets this program be a hook's script, which is an attack.
func TestMain(m *testing.M) {
	name := os.Getenv("ATTACK")
	if name == "" {
		os.Exit(m.Run())
	}
	for _, a := range attacks() {
		if a.name == name {
			if err := a.run(); err != nil {
				fmt.Println("it failed:", err)
				os.Exit(1)
			}
		}
	}
}

// An attack reaches what is outside. It is told by environment variables of whom.
type attack struct {
	name string
	run  func() error
	// inside means that root could do it outside, where a test should not.
	inside bool
}

// attacks are what root's script would do to the system around it.
func attacks() []attack {
	process := func() int { pid, _ := strconv.Atoi(os.Getenv("PROCESS")); return pid }
	written := func(file string) error {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	return []attack{
		{"write", func() error { return os.WriteFile(os.Getenv("OUTSIDE"), nil, 0o600) }, false},
		{"root of a process", func() error {
			return os.WriteFile(fmt.Sprintf("/proc/%d/root%s", process(), os.Getenv("OUTSIDE")), nil, 0o600)
		}, false},
		{"root of the first process", func() error { return os.WriteFile("/proc/1/root"+os.Getenv("OUTSIDE"), nil, 0o600) }, true},
		{"input of the first process", func() error { return written("/proc/1/fd/0") }, true},
		{"memory of the first process", func() error { return written("/proc/1/mem") }, true},
		{"signal", func() error { return unix.Kill(process(), 0) }, false},
		{"ptrace", func() error { return unix.PtraceSeize(process()) }, false},
		{"ptrace of the first process", func() error { return unix.PtraceSeize(1) }, true},
		{"kernel settings", func() error { return written("/proc/sys/kernel/panic") }, false},
		{"sysrq", func() error { return written("/proc/sysrq-trigger") }, true},
		{"sysfs", func() error { return written("/sys/kernel/mm/transparent_hugepage/enabled") }, false},
		{"device", func() error { return written("/dev/loop-control") }, false},
		{"kernel log", func() error { return written("/dev/kmsg") }, false},
		{"mknod", func() error { return unix.Mknod("disk", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))) }, false},
		{"handle", openByHandle, false},
		{"keyring", addKey, false},
		{"keyring of a 32-bit program", findKeyring32, runtime.GOARCH != "amd64"},
		{"abstract socket", func() error { return dial("unix", "@"+os.Getenv("ABSTRACT")) }, false},
		{"socket", func() error { return dial("unix", filepath.Join(os.Getenv("FOLDER"), "socket")) }, false},
		{"socket of /run", func() error { return dial("unix", "/run/"+os.Getenv("ABSTRACT")) }, false},
		{"network", func() error { return dial("tcp", os.Getenv("ADDRESS")) }, false},
		{"shared memory", func() error {
			id, _ := strconv.Atoi(os.Getenv("MEMORY"))
			_, err := unix.SysvShmCtl(id, unix.IPC_STAT, new(unix.SysvShmDesc))
			return err
		}, false},
		{"setuid", func() error { return rise(1000) }, false},
		{"remount", func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }, true},
		{"unmount of /proc", func() error { return unix.Unmount("/proc", unix.MNT_DETACH) }, true},
		{"remount in a user namespace", func() error {
			return inUserNamespace(unix.SYS_MOUNT, `(my $from = "none"), (my $at = "/"), 0, %d, 0`, unix.MS_REMOUNT|unix.MS_BIND)
		}, true},
		{"unmount in a user namespace", func() error { return inUserNamespace(unix.SYS_UMOUNT2, `(my $at = "/proc"), %d`, unix.MNT_DETACH) }, true},
		{"mknod in a user namespace", func() error {
			return inUserNamespace(unix.SYS_MKNODAT, `%d, (my $file = "disk"), 24960, 0x700`, unix.AT_FDCWD)
		}, true},
		{"host's mounts", func() error { return exec.Command("nsenter", "--mount=/proc/1/ns/mnt", "true").Run() }, true},
		{"reboot", func() error { return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) }, true},
		{"clock", func() error { return unix.Settimeofday(&unix.Timeval{Sec: time.Now().Unix()}) }, true},
		{"host's name", func() error { return unix.Sethostname([]byte("attacked")) }, true},
		{"attribute that root cannot remove", func() error {
			return exec.Command("chattr", "+i", "/proc/self/cwd").Run()
		}, true},
	}
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, 5*time.Second)
	if err == nil {
		err = c.Close()
	}
	return err
}

// addKey puts a key among those of root's that every process of root's sees.
func addKey() error {
	ring, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
	if err != nil {
		return err
	}
	key, err := unix.AddKey("user", "gitboot-test", []byte("x"), ring)
	if err == nil {
		_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, key, ring, 0, 0)
	}
	return err
}

// findKeyring32 executes a program for i386 that asks for root's keyring:
// keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1) and exit.
func findKeyring32() error {
	program := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00\x01\x00\x00\x00\x54\x80\x04\x08\x34\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x34\x00\x20\x00\x01\x00\x00\x00\x00\x00\x00\x00" + // one segment, the file itself
		"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x80\x04\x08\x00\x80\x04\x08\x78\x00\x00\x00\x78\x00\x00\x00\x05\x00\x00\x00\x00\x10\x00\x00" +
		"\xb8\x20\x01\x00\x00\x31\xdb\xb9\xfc\xff\xff\xff\xba\x01\x00\x00\x00\xcd\x80" + // keyctl
		"\xc1\xe8\x1f\x89\xc3\xb8\x01\x00\x00\x00\xcd\x80") // exit with 1 if that is negative
	if err := os.WriteFile("keyring32", program, 0o700); err != nil {
		return err
	}
	return exec.Command("./keyring32").Run()
}

// openByHandle opens a folder that lies beside the one that can be written.
func openByHandle() error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, ".", 0)
	if err != nil {
		return err
	}
	dir, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	mount, err := unix.Open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	defer unix.Close(mount)
	fd, err := unix.OpenByHandleAt(mount, handle, unix.O_RDONLY)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// rise becomes another user and, by a program that belongs to root and is
// setuid, root again.
func rise(user uint32) error {
	data, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		return err
	}
	const file = "./id"
	if err := os.WriteFile(file, data, 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(".", 0o755), os.Chmod(file, 0o755|os.ModeSetuid)); err != nil {
		return err
	}
	cmd := exec.Command(file, "-u")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	said, err := cmd.CombinedOutput()
	if err == nil && strings.TrimSpace(string(said)) != "0" {
		err = fmt.Errorf("it is %s", said)
	}
	return err
}

// inUserNamespace makes a system call with all capabilities that a user
// namespace of the caller's own gives.
func inUserNamespace(call int, args string, values ...any) error {
	program := fmt.Sprintf("syscall(%d, %d) == 0 or die qq(no namespace: $!); syscall(%d, ", unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_NEWNS, call) +
		fmt.Sprintf(args, values...) + ") == 0 or die qq(in the namespace: $!)"
	said, err := exec.Command("perl", "-e", program).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// Each attack works for root, and fails in a script of root's.
func TestScriptsReachNothingOutside(t *testing.T) {
	needConfinement(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	env := victims(t)
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			env["ATTACK"] = a.name
			if !a.inside {
				cmd := exec.Command("/proc/self/exe")
				cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
				for key, value := range env {
					cmd.Env = append(cmd.Env, key+"="+value)
				}
				if said, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("root cannot do it either: %v: %s", err, said)
				}
				os.Remove(env["OUTSIDE"])
			}
			_, log, err := runScripts(t, kind.Script{Name: "attack", Content: self, Env: env})
			wantError(t, err, "it failed: ")
			if _, err := os.Lstat(env["OUTSIDE"]); err == nil {
				t.Errorf("it wrote outside; %s", log)
			}
			t.Log(err)
		})
	}
}

// With the system's network its abstract sockets would be reached, too, as they
// are where the kernel cannot deny that.
func TestNetworkBringsNoAbstractSockets(t *testing.T) {
	needConfinement(t)
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	old := errno != 0 || abi < 6 // before Linux 6.12
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	env := victims(t)
	for name, reached := range map[string]bool{"network": true, "abstract socket": old, "socket": false} {
		env["ATTACK"] = name
		_, _, err := runScripts(t, kind.Script{Name: "attack", Content: self, Env: env, Network: true})
		if (err == nil) != reached {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// needConfinement asks another program than ours whether the kernel and the
// container, if it is one, can confine.
func needConfinement(t *testing.T) {
	t.Helper()
	need.Root(t)
	out, err := exec.Command("unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--mount-proc", "true").CombinedOutput()
	need.Done(t, err, out)
}

// victims are what attacks reach out for.
func victims(t *testing.T) map[string]string {
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleep.Process.Kill(); sleep.Wait() })
	dir, name := t.TempDir(), fmt.Sprintf("gitboot-test-%d", os.Getpid())
	address := listen(t, "tcp", "127.0.0.1:0")
	for _, path := range []string{"@" + name, "/run/" + name, dir + "/socket"} {
		listen(t, "unix", path)
	}
	memory, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SysvShmCtl(memory, unix.IPC_RMID, nil) })
	return map[string]string{"PROCESS": strconv.Itoa(sleep.Process.Pid), "OUTSIDE": dir + "/outside", "FOLDER": dir,
		"ABSTRACT": name, "ADDRESS": address, "MEMORY": strconv.Itoa(memory)}
}

func listen(t *testing.T, network, address string) string {
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// Where nothing can be confined, as in most containers, scripts run, and the log
// says what that means.
func TestUnconfinedScriptsAreTold(t *testing.T) {
	if os.Getenv("DENIED") == "" {
		needConfinement(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("setpriv", "--bounding-set=-sys_admin", self, "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "DENIED=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		return
	}
	outside := filepath.Join(t.TempDir(), "outside")
	_, log, err := runScripts(t, sh("echo x >"+outside))
	if err != nil || !strings.Contains(log, "is not confined") || !strings.Contains(log, "this kernel or container denies it") {
		t.Errorf("error %v, log %s", err, log)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("it was confined, or did not run: %v", err)
	}
}

package initramfs_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/tests/need"
)

// TestRecovery boots the recovery entry on a machine without a disk, and logs in
// over the network.
func TestRecovery(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "ssh", "ssh-keygen", "tar2sqfs", "apt-get", "dpkg-deb")
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	run(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	layer := filepath.Join(dir, "kernel.sqfs")
	squashDir(t, layer, debianPackage(t, "linux-image-cloud-amd64"))
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	s := testStage{kernel: filepath.Join(dir, "vmlinuz"), initramfs: filepath.Join(dir, "initramfs")}
	s.options.Recovery = &initramfs.Recovery{
		Rescue: program(t, "gitboot-rescue"), Gitboot: program(t, "gitboot"), Shell: busybox,
		Files: map[string][]byte{"authorized_keys": public},
	}
	s.build(t, []string{layer})
	port := freePort(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var console bytes.Buffer
	vm := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "768", "-smp", "2",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", s.kernel, "-initrd", s.initramfs,
		"-nic", "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:"+port+"-:22",
		"-append", "console=ttyS0 panic=1 gitboot.recovery=1 gitboot.stage=UUID="+stageUUID+":/var/gitboot gitboot.machine=laptop gitboot.deployment="+strings.Repeat("0", 64))
	vm.Stdout, vm.Stderr = &console, &console
	if err := vm.Start(); err != nil {
		t.Fatal(err)
	}
	out := login(ctx, key, port, "uname -s; gitboot version; ls /sys/class/net; tr ' ' '\\n' < /proc/cmdline | grep machine; poweroff -f")
	_ = vm.Wait()
	for _, text := range []string{"Linux", "gitboot", "gitboot.machine=laptop"} {
		if !strings.Contains(out, text) {
			t.Errorf("who has logged in does not see %q: %s\n%s", text, out, console.String())
		}
	}
	t.Log(out)
}

// login tries until somebody answers.
func login(ctx context.Context, key, port, command string) (out string) {
	for ctx.Err() == nil {
		ssh := exec.CommandContext(ctx, "ssh", "-F", "none", "-i", key, "-p", port, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@127.0.0.1", command)
		text, _ := ssh.Output() // poweroff cuts the connection
		if out = string(text); out != "" {
			return out
		}
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// program builds one of gitboot's.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "github.com/gitboot/gitboot/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, cmd)
	return path
}

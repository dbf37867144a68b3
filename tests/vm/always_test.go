package vm

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
)

// A machine that gitboot booted follows its config repo by itself, as its service and
// with what its hooks brought it: a commit made elsewhere is staged beside what runs,
// on a stage that is read-only but for that, the machine restarts, by kexec, when who
// sits at it has had their time, and what comes up is judged and told.
func TestAlwaysOn(t *testing.T) {
	s := newEmptySite(t)
	s.pushAlways(t)
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true})
	s.commitAlways(t, disk)
	s.run(t, disk, "laptop", "reconcile", "--once")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, MemoryMB: 1536, MAC: "52:54:00:12:34:56"})
	ctx, cancel := context.WithTimeout(s.ctx, 4*bootLimit)
	defer cancel()
	var said []string
	wait := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
			said = append(said, m.Groups[1:]...)
		}
	}
	// What the host does next, and what follows from it, is what the machine waits for.
	wait(`lab: step 1 is deployment ([0-9a-f]{64})`,
		`lab: /root is 700, and nothing is mounted at /boot/efi`,
		`lab: status 1: started by the boot loader; a restart is by `,
		`lab: status 1: Ready since .*: the next boot is revision [0-9a-f]{12}`,
		`lab: status 1: desktop +1 .*good`,
		`lab: doctor 1: ok +credentials: the 2 files`,
		`lab: doctor 1: ok +config-repo: https://example.com:\d+/config is reachable and valid`,
		`lab: doctor 1: ok +stage: /run/initramfs/gitboot is at revision`,
		`lab: doctor 1: ok +menu: 1 entries, as staged`,
		`lab: doctor 1: ok +service: gitboot.service runs, and does so after a boot`,
		`lab: token 600 root, socket 660 root gitboot`,
		`lab: the stage is ext4 ro`, `lab: the stage is ext4 ro`,
		`lab: step 1 is told`)
	s.replaceAndCommit(t, `step = "1"`, `step = "2"`)
	wait(`lab: 1: .*a reboot is needed; the machine is not restarted now.*it would disturb the session of ada`,
		`lab: step 2 is deployment ([0-9a-f]{64})`,
		`lab: status 2: started by kexec; a restart is by `,
		`lab: status 2: Ready since `,
		`lab: status 2: desktop +2 .*good`,
		`lab: step 2 is told`)
	if text := vm.Tail(1000); !strings.Contains(text, "the restart to it: not yet, because it would disturb the session of ada") && !strings.Contains(text, "the restart to it: asked for") {
		t.Errorf("the machine's status did not say why it is not restarted; the console was:\n%s", text)
	}
	if said[0] == said[1] {
		t.Error("the second boot is the first deployment")
	}
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}
	s.checkAlways(t, disk, said)
}

// checkAlways looks at what two boots, the last of them the newest, have left.
func (s *site) checkAlways(t *testing.T, disk *lab.Disk, booted []string) {
	t.Helper()
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	stage := filepath.Join(mnt, "gitboot")
	boots, err := deployment.ReadBoots(stage)
	if err != nil || len(boots) != len(booted) {
		t.Fatalf("the records of boots are %+v, %v", boots, err)
	}
	// what the boot loader would have counted is counted
	data, err := os.ReadFile(filepath.Join(stage, deployment.BlockFile))
	if err != nil {
		t.Fatal(err)
	}
	block, err := env.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	trying, _ := block.Get(deployment.BlockTrying)
	if left, _ := block.Get("gitboot_left"); trying != boots[0].Entry || left != "2" || boots[0].Via != deployment.ViaKexec || boots[1].Via != "" {
		t.Errorf("%s has %s tries left; the boots were started by %q and %q", trying, left, boots[1].Via, boots[0].Via)
	}
	for i, boot := range boots {
		if boot.Deployment != booted[len(booted)-1-i] || boot.Verdict != deployment.BootGood || len(boot.Warnings) != 1 || !strings.Contains(boot.Warnings[0], "nosuch.service") {
			t.Errorf("the record of boot %d is %+v", i, boot)
		}
	}
	doc, err := state.LoadMachine(stage)
	if err != nil || doc.Restarted != booted[1] {
		t.Errorf("the machine was restarted for %s, %v; want %s", doc.Restarted, err, booted[1])
	}
}

// pushAlways publishes an image with what make install puts into a system.
func (s *site) pushAlways(t *testing.T) {
	t.Helper()
	rootfs, err := lab.RootFS(s.ctx, lab.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	dir, layer := filepath.Join(s.dir, "root"), filepath.Join(s.dir, "desktop.tar")
	if err := lab.Install(s.ctx, filepath.Dir(s.gitboot), dir); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"etc/fstab": formerDisk, "root/note": "the folder has no entry in this layer"} {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lab.Run(s.ctx, "tar", "-C", dir, "-cf", layer, "--owner=0", "--group=0", "usr", "etc/fstab", "root/note"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.registry.Push(s.ctx, "lab:desktop", nil, lab.Layer{Path: rootfs}, lab.Layer{Path: layer}); err != nil {
		t.Fatal(err)
	}
}

// formerDisk is the fstab of a system that was installed on a disk: with it, a
// boot ends in emergency mode after a minute and a half.
const formerDisk = `LABEL=nowhere / ext4 errors=remount-ro 0 1
LABEL=UEFI /boot/efi vfat umask=0077 0 1
UUID=00000000-0000-0000-0000-000000000000 none swap sw 0 0
`

// commitAlways makes the fleet of testdata/always, with a secret that the machine's own
// key opens, and serves it.
func (s *site) commitAlways(t *testing.T, disk *lab.Disk) {
	t.Helper()
	const token = "a token of this machine's own"
	server := s.serve(t, token)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	key, err := lab.Run(s.ctx, s.gitboot, "secret", "key", "--create", "--machine", "laptop", "--stage", filepath.Join(mnt, "gitboot"))
	if err := errors.Join(err, disk.Unmount()); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "token")
	for _, step := range []func() error{
		func() error { return s.repo.CopyDir("testdata/always") },
		func() error { return s.repo.Replace("gitboot.toml", "REGISTRY", s.registry.Addr) },
		func() error {
			return s.repo.Replace("gitboot.toml", "KEY", regexp.MustCompile(`age1\w+`).FindString(key))
		},
		func() error { return s.repo.Replace("files/agent.toml", "SERVER", "https://example.com:"+port) },
		func() error { return s.repo.Write("files/ca.pem", ca) },
		func() error { return os.WriteFile(plain, []byte(token), 0o600) },
		func() error {
			_, err := lab.Run(s.ctx, "env", "-C", s.repo.Dir, s.gitboot, "secret", "encrypt", "token", plain)
			return err
		},
		func() error { _, err := s.repo.Commit(s.ctx, "Begin"); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// serve serves the config repo by git's own http-backend, behind TLS and a token.
func (s *site) serve(t *testing.T, token string) *httptest.Server {
	t.Helper()
	path, err := lab.Run(s.ctx, "git", "--exec-path")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(path), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(s.repo.Dir), "GIT_HTTP_EXPORT_ALL=1"},
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	return server
}

func (s *site) replaceAndCommit(t *testing.T, old, replacement string) {
	t.Helper()
	if err := s.repo.Replace("gitboot.toml", old, replacement); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Change it"); err != nil {
		t.Fatal(err)
	}
}

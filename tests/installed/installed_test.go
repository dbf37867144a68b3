// Package installed installs gitboot's packages in clean root file systems, of
// which one is booted, by the systemd in it, in a container: the agent runs as the
// unit has it, is upgraded, downgraded, removed and purged.
package installed

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

func TestPackages(t *testing.T) {
	need.Root(t)
	need.Programs(t, "systemd-nspawn", "make", "rpm", "pacman")
	bin := build(t)
	older, newer := pack(t, bin, "1.0", "packages"), pack(t, bin, "2.0", "packages")
	t.Run("debian", func(t *testing.T) { debian(t, older, newer) })
	t.Run("others", func(t *testing.T) { others(t, older, newer) })
}

// run runs a command, and fails the test with what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// build makes the programs.
func build(t *testing.T) (bin string) {
	t.Helper()
	bin = t.TempDir()
	if _, err := lab.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	if err := lab.Complete(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// pack makes packages called version, and returns their folder.
func pack(t *testing.T, bin, version, target string) string {
	t.Helper()
	source, err := lab.SourceDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	run(t, "make", "-s", "-C", source, "-o", "build", "BIN="+bin, "DIST="+dist, "PACKAGE_VERSION="+version, target)
	return dist
}

// the returns the one file that a pattern names.
func the(t *testing.T, parts ...string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(parts...))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s is %v: %v", filepath.Join(parts...), found, err)
	}
	return found[0]
}

// root unpacks a clean root file system.
func root(t *testing.T, kind lab.Kind) string {
	t.Helper()
	tar, err := lab.RootFS(t.Context(), kind)
	need.Done(t, err)
	dir := t.TempDir()
	run(t, "tar", "-xpf", tar, "-C", dir, "--exclude=./dev/*")
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fleet puts a config repo, an image and GRUB's folder into a root file system.
func fleet(t *testing.T, root string) {
	t.Helper()
	image := t.TempDir()
	if err := lab.FakeKernel(image, "6.1.0-test", true); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "-cf", filepath.Join(root, "srv/base.tar"), "-C", image, "--owner=0", "--group=0", ".")
	write(t, filepath.Join(root, "boot/grub/grub.cfg"), "source ${config_directory}/custom.cfg\n")
	repo := filepath.Join(root, "srv/fleet")
	if _, err := lab.NewRepo(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(repo, "gitboot.toml"), `
[image.desktop]
archive = "/srv/base.tar"

[machine.laptop]
images = ["desktop"]
hooks  = ["hostname"]
`)
	run(t, "git", "-C", repo, "add", "--all")
	run(t, "git", "-C", repo, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message=first")
}

// boot boots a root file system in a container, and has its systemd run a script
// of testdata when all else has started.
func boot(t *testing.T, root, script string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "test/run.sh"), string(text))
	write(t, filepath.Join(root, "etc/systemd/system/script.service"),
		"[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nStandardOutput=file:/test/log\nStandardError=file:/test/log\n"+
			"ExecStart=/bin/bash -c 'bash -eux /test/run.sh; echo $? > /test/status; systemctl --no-block poweroff'\n")
	run(t, "ln", "-s", "/etc/systemd/system/script.service", filepath.Join(root, "etc/systemd/system/multi-user.target.wants/script.service"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory="+root, "--machine=gitboot-packages", "--console=pipe")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	console, err := cmd.CombinedOutput()
	status, _ := os.ReadFile(filepath.Join(root, "test/status"))
	if strings.TrimSpace(string(status)) == "0" {
		return
	}
	log, _ := os.ReadFile(filepath.Join(root, "test/log"))
	t.Fatalf("%s ended with %q: %v\n%s\nconsole:\n%s", script, status, err, log, tail(string(console), 3000))
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

package bootstraps

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A tarball of a distribution, as Gentoo's stage3, is a base: it is fetched over
// https, must have its sha256, and steps run in what it holds.
func TestStage3(t *testing.T) {
	need.Root(t)
	need.Programs(t, "buildah", "busybox", "xz", "tar2sqfs")
	dir := t.TempDir()
	gitboot, err := lab.Build(t.Context(), filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	stage3 := filepath.Join(dir, "stage3-amd64-systemd.tar.xz")
	makeStage3(t, stage3)
	data, err := os.ReadFile(stage3)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	server := httptest.NewTLSServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(sha256 string) (string, error) {
		repo, err := lab.NewRepo(t.Context(), filepath.Join(t.TempDir(), "repo"))
		if err != nil {
			t.Fatal(err)
		}
		config := documented(t)
		config = regexp.MustCompile(`https://[^"]*`).ReplaceAllString(config, server.URL+"/"+filepath.Base(stage3))
		config = regexp.MustCompile(`sha256 = "[^"]*"`).ReplaceAllString(config, fmt.Sprintf("sha256 = %q", sha256))
		config = regexp.MustCompile(`(?m)^containerfiles .*$`).ReplaceAllString(config, `run = ["grep '^Gentoo, or something like it$' /etc/gentoo-release"]`)
		if err := repo.Write("gitboot.toml", config); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Commit(t.Context(), "Begin"); err != nil {
			t.Fatal(err)
		}
		args := []string{"--repo", repo.Dir, "--machine", "desk", "--stage", filepath.Join(t.TempDir(), "stage")}
		cmd := exec.CommandContext(t.Context(), gitboot, append([]string{"image", "build", "gentoo"}, args...)...)
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+ca)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out), err
		}
		log, err := exec.CommandContext(t.Context(), gitboot, append([]string{"image", "log", "gentoo"}, args...)...).CombinedOutput()
		return string(out) + string(log), err
	}
	if out, err := build(hex.EncodeToString(sum[:])); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := build(strings.Repeat("0", 64)); err == nil || !strings.Contains(out, "sha256") {
		t.Errorf("another sha256 is believed: %v\n%s", err, out)
	}
}

// documented is what docs/bootstrap.md says of a stage3.
func documented(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/bootstrap.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fence := range regexp.MustCompile("(?s)```toml file=gitboot.toml\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(fence[1], "stage3") {
			return fence[1]
		}
	}
	t.Fatal("docs/bootstrap.md has no stage3")
	return ""
}

// makeStage3 packs busybox as Gentoo packs its stages.
func makeStage3(t *testing.T, path string) {
	t.Helper()
	const script = `
mkdir -p bin etc tmp root
cp "$(command -v busybox)" bin/busybox && chmod 755 bin/busybox
for name in sh cat ls mkdir ln rm grep echo touch; do ln -s busybox bin/$name; done
echo "Gentoo, or something like it" >etc/gentoo-release
tar --create --xz --numeric-owner --owner 0 --group 0 --xattrs --file "$1" .
`
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script, "sh", path)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

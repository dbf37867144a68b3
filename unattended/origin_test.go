package unattended

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ec2 is a metadata service as EC2 has it; with a token it hands out user data to those
// alone who have that.
func ec2(t *testing.T, token, data string) Origin {
	t.Helper()
	mux := http.NewServeMux()
	if token != "" {
		mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "" {
				http.Error(w, "", http.StatusBadRequest)
			}
			_, _ = w.Write([]byte(token))
		})
	}
	mux.HandleFunc("GET /latest/user-data", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token") != token {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(data))
	})
	mux.Handle("GET /elsewhere", http.RedirectHandler("/latest/user-data", http.StatusFound))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return Origin{Metadata: server.URL, Patience: time.Second}
}

// User data is found as clouds have it, with a token and without.
func TestMetadata(t *testing.T) {
	for _, token := range []string{"", "secret"} {
		a, err := ec2(t, token, good).Read(t.Context(), deployment.InstallCloud)
		if err != nil || a.Device != "/dev/vda" {
			t.Errorf("with the token %q: %+v, %v", token, a, err)
		}
	}
	if _, err := ec2(t, "", "#cloud-config\n").Read(t.Context(), deployment.InstallCloud); err == nil || !strings.Contains(err.Error(), "/latest/user-data: they are not for gitboot: the first line has to be #gitboot-install; nothing was erased") {
		t.Errorf("other user data: %v", err)
	}
}

// A file is read from a URL, as it is there, and no more of it than answers have.
func TestURL(t *testing.T) {
	o := ec2(t, "", good)
	if a, err := o.Read(t.Context(), o.Metadata+"/latest/user-data"); err != nil || a.Device != "/dev/vda" {
		t.Errorf("%+v, %v", a, err)
	}
	for path, why := range map[string]string{"/none": "404 Not Found", "/elsewhere": "302 Found"} {
		if _, err := o.Read(t.Context(), o.Metadata+path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %s", path, err, why)
		}
	}
	large := ec2(t, "", good+strings.Repeat("#", 10*MaxSize))
	if _, err := large.Read(t.Context(), large.Metadata+"/latest/user-data"); err == nil || !strings.Contains(err.Error(), "more than 65536 bytes") {
		t.Errorf("a large file: %v", err)
	}
	stranger := httptest.NewTLSServer(nil)
	defer stranger.Close()
	o.Patience = time.Hour
	if _, err := o.Read(t.Context(), stranger.URL); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("one who is not trusted: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	o.Patience = 0
	if _, err := o.Read(t.Context(), gone.URL); err == nil || !strings.Contains(err.Error(), "refused; it was tried for 0s") {
		t.Errorf("nobody is there: %v", err)
	}
}

// A file on the medium is no link to somewhere else, and no pipe that nobody writes to.
func TestMedium(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "install.toml")
	must(t, os.WriteFile(file, []byte(good), 0o600))
	if a, err := (Origin{Medium: file}).Read(t.Context(), deployment.InstallMedium); err != nil || a.Device != "/dev/vda" {
		t.Errorf("%+v, %v", a, err)
	}
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	must(t, os.Symlink(file, link))
	must(t, exec.Command("mkfifo", pipe).Run())
	for _, path := range []string{link, pipe, dir, filepath.Join(dir, "none")} {
		if _, err := (Origin{Medium: path}).Read(t.Context(), deployment.InstallMedium); err == nil {
			t.Errorf("%s is read", path)
		}
	}
}

// A seed of NoCloud's is found by its label.
func TestSeed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "user-data"), []byte(good), 0o600))
	image := filepath.Join(dir, "seed.iso")
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "cidata", "-o", image, "-graft-points", "/user-data="+filepath.Join(dir, "user-data")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if fs, ok := identify(image); !ok || fs.Type != "iso9660" || fs.Label != "cidata" {
		t.Errorf("it is %+v", fs)
	}
}

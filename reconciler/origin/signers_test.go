package origin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/need"
)

const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETdU1FydOBn+Jv7PjPG+GlUssAkvw
OMfJ0RdMzSiEjtMIhnAdr9hS+sOi3o5+2ZVZeME8rHF1PmazGwVPMWVBuA==
-----END PUBLIC KEY-----
`

func signedBy(key string) spec.Image {
	return spec.Image{Name: "desktop", Pull: &spec.Pull{Ref: "127.0.0.1:1/desktop:1", Insecure: true, CosignKey: key}}
}

// TestKeysOfOthers takes keys from the config repo, and from files of the machine
// that nobody else can have written.
func TestKeysOfOthers(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	own, others := filepath.Join(dir, "own.pub"), filepath.Join(dir, "others.pub")
	must(t, os.WriteFile(own, []byte(publicKey), 0o644))
	must(t, os.WriteFile(others, []byte(publicKey), 0o644))
	must(t, os.Chown(others, 1234, 1234))
	files := fstest.MapFS{"keys/release.pub": {Data: []byte(publicKey)}, "keys/none.pub": {Data: []byte("none")}}
	for key, want := range map[string]string{
		"keys/release.pub": "",
		own:                "",
		others:             "belongs to",
		dir + "/missing":   "no such file or directory",
		"keys/missing.pub": "file does not exist",
		"keys/none.pub":    "cosign_key: keys/none.pub has no public key in PEM",
	} {
		got, err := signers(signedBy(key), files)
		if want == "" {
			if err != nil || got.Keys.Sum() == "" || got.File != key {
				t.Errorf("%s: %+v %v", key, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
		now := noon
		f := finder(&now)
		known := state.Origin{Digest: "known"}
		if left, _, err := f.Resolve(t.Context(), known, signedBy(key), files); err == nil || left != known {
			t.Errorf("%s: %+v %v", key, left, err)
		}
	}
	if got, err := signers(spec.Image{Pull: &spec.Pull{}}, nil); err != nil || got.Keys.Sum() != "" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestOtherKeys has what was verified with other keys, or with none, asked for
// anew.
func TestOtherKeys(t *testing.T) {
	files := fstest.MapFS{"release.pub": {Data: []byte(publicKey)}}
	want := signedBy("release.pub")
	declared, err := Declaration(want)
	must(t, err)
	trust, err := signers(want, files)
	must(t, err)
	now := noon
	f := finder(&now)
	for signed, asks := range map[string]bool{trust.Keys.Sum(): false, "": true, "other": true} {
		known := state.Origin{Declared: declared, Digest: "sha256:0", Signed: signed, Checked: noon}
		got, _, err := f.Resolve(t.Context(), known, want, files)
		if (err != nil) != asks || got != known {
			t.Errorf("signed %.8q: asks %t, %v", signed, err != nil, err)
		}
	}
}

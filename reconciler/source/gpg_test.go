package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/gpg"
)

// A gpgKey is a key of GnuPG's, in a home of its own.
type gpgKey struct {
	*gpg.Home
	t  *testing.T
	id string
}

func newGPGKey(t *testing.T) *gpgKey {
	t.Helper()
	home := gpg.New(t)
	return &gpgKey{home, t, home.Key("ada@example.org", "ed25519", "never")}
}

func (g *gpgKey) export() string { return string(g.Run("", "--export", "--armor", g.id)) }

// signs makes the repo's signatures gpg's.
func (g *gpgKey) signs(r *repo) {
	g.t.Helper()
	r.git("config", "gpg.format", "openpgp")
	r.git("config", "gpg.program", g.Program())
	r.git("config", "user.signingkey", g.id)
}

// TestSignedWithGPG follows commits that git has signed with gpg.
func TestSignedWithGPG(t *testing.T) {
	g := newGPGKey(t)
	r := newRepo(t)
	g.signs(r)
	o := r.options()
	o.TrustedKeys = filepath.Join(t.TempDir(), "keys")
	writeFile(t, o.TrustedKeys, string(g.Run("", "--export", g.id)))
	first := r.commit("a", "1", "-S", "-m", "body\n\n-----BEGIN PGP SIGNATURE-----\n")
	open(t, o).mustFetch(t, "")
	r.commit("a", "2")
	if _, err := open(t, o).Fetch(t.Context(), first); err == nil || !strings.Contains(err.Error(), "it is not signed") {
		t.Errorf("unsigned: %v", err)
	}
	third := r.commit("a", "3", "-S")
	if rev := open(t, o).mustFetch(t, first); rev.Hash != third {
		t.Errorf("Fetch = %+v", rev)
	}
	if err := os.WriteFile(o.TrustedKeys, newGPGKey(t).Run("", "--export"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, o).Fetch(t.Context(), first); err == nil || !strings.Contains(err.Error(), "which is not trusted") {
		t.Errorf("another's: %v", err)
	}
}

package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/gpg"
)

const payload = "tree 1\n\nmessage\n"

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func mustRead(t *testing.T, content string) *Keys {
	t.Helper()
	keys, err := Read(write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestGPG verifies what gpg signed, with what it exported.
func TestGPG(t *testing.T) {
	h := gpg.New(t)
	h.At = "20250101T120000"
	ada, small := h.Key("ada@example.org", "ed25519", "never"), h.Key("small@example.org", "rsa1024", "never")
	sub, short := h.Subkey(ada, "rsa3072", "never"), h.Key("short@example.org", "nistp256", "10d")
	sign := func(key string, args ...string) string {
		t.Helper()
		return string(h.Run(payload, append([]string{"--armor", "--local-user", key + "!", "--detach-sign"}, args...)...))
	}
	export := func(key string) string { return string(h.Run("", "--armor", "--export", key)) }
	type signature struct{ text, keys, want string }
	cases := map[string]signature{
		"primary":    {sign(ada), export(ada), ""},
		"subkey":     {sign(sub), export(ada), ""},
		"in time":    {sign(short), export(short), ""},
		"another's":  {sign(ada), export(short), "which is not trusted"},
		"SHA-1":      {sign(sub, "--digest-algo", "SHA1"), export(ada), "it is over SHA-1, which is insecure"},
		"small":      {sign(small), export(small), "1024 bits, which are too few"},
		"text":       {sign(ada, "--textmode"), export(ada), "not one that git makes"},
		"cut":        {strings.Replace(sign(ada), pgpEnd, "", 1), export(ada), "something more or less"},
		"twice":      {sign(ada) + sign(ada), export(ada), "something more or less"},
		"two in one": {string(h.Run(payload, "--armor", "--local-user", ada+"!", "--local-user", short+"!", "--detach-sign")), export(ada), "something more or less"},
		"an inline":  {"-----BEGIN PGP MESSAGE-----\n", export(ada), "neither SSH's nor OpenPGP's"},
		"none":       {"", export(ada), "not signed"},
	}
	early := sign(short)
	h.At = "20250105T120000"
	late := sign(short)
	h.At = "20250102T120000"
	h.Run("", "--quick-set-expire", short, "20250103T120000")
	cases["before it expired"] = signature{early, export(short), ""}
	cases["after it expired"] = signature{late, export(short), "was not valid at the signature's time, 2025-01-05"}
	ring := export(ada)
	h.Run("", "--quick-set-expire", ada, "20250102T130000", sub)
	old := sign(sub)
	h.At = "20250101T120100"
	cases["subkey that expired since"] = signature{old, export(ada), ""}
	h.Revoke(short)
	cases["revoked since"] = signature{early, export(short), "was revoked"}
	for name, c := range cases {
		err := mustRead(t, c.keys).check([]byte(payload), c.text, time.Now())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want: %q", name, err, c.want)
		}
	}
	keys := mustRead(t, ring)
	if err := keys.check([]byte(payload+"x"), cases["primary"].text, time.Now()); err == nil {
		t.Error("another content is vouched for")
	}
	if err := mustRead(t, string(h.Run("", "--export"))).check([]byte(payload), cases["primary"].text, time.Now()); err != nil {
		t.Errorf("a keyring: %v", err)
	}
	line := "ada@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIbp0qhCtVZWBBBaBBBBBBBBBBBBBBBBBBBBBBBBBBBB\n"
	if keys := mustRead(t, line+ring+"# and\n"+export(small)+line); len(keys.ssh) != 2 || len(keys.pgp) != 2 {
		t.Errorf("of a mixed file: %d and %d keys", len(keys.ssh), len(keys.pgp))
	}
	for content, want := range map[string]string{
		string(h.Run("", "--armor", "--export-secret-keys", small)): "keys:1: it is a private key",
		string(h.Run("", "--export-secret-keys", small)):            "it holds a private key",
		line + "\n" + ring[:200]:                                    "keys:3: ",
		line + "ada " + ring:                                        "keys:2: ",
		"\x99\x00\x01\x02":                                          "no keyring",
	} {
		if _, err := Read(write(t, content)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v; want: %s", content, err, want)
		}
	}
}

// TestRevokedSubkey revokes a subkey only.
func TestRevokedSubkey(t *testing.T) {
	h := gpg.New(t)
	ada := h.Key("ada@example.org", "ed25519", "never")
	sub := h.Subkey(ada, "ed25519", "never")
	signed := string(h.Run(payload, "--armor", "--local-user", sub+"!", "--detach-sign"))
	export := func() string { return string(h.Run("", "--armor", "--export", ada)) }
	if err := mustRead(t, export()).check([]byte(payload), signed, time.Now()); err != nil {
		t.Error(err)
	}
	h.Run("key 1\nrevkey\ny\n1\n\ny\nsave\n", "--command-fd", "0", "--edit-key", ada)
	if err := mustRead(t, export()).check([]byte(payload), signed, time.Now()); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("a revoked subkey: %v", err)
	}
}

package source

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/trust"
	"github.com/gitboot/gitboot/tests/need"
)

// signing makes the repo's commits signed by a key.
func (r *repo) signing(key string) {
	r.t.Helper()
	need.Program(r.t, "ssh-keygen")
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", key)
	r.git("config", "commit.gpgsign", "true")
}

func trusting(t *testing.T, options string, keys ...ssh.PublicKey) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# who may decide what boots\n\n")
	for _, k := range keys {
		b.WriteString("ada@example.org " + options + " " + string(ssh.MarshalAuthorizedKey(k)))
	}
	file := filepath.Join(t.TempDir(), "allowed_signers")
	writeFile(t, file, b.String())
	return file
}

func TestSignedCommits(t *testing.T) {
	key, pub := newKey(t, "ada")
	_, stranger := newKey(t, "eve")
	r := newRepo(t)
	r.signing(key)
	signed := r.commit("a", "1", "-m", "body\n\nwith gpgsig lines\n gpgsig x")
	unsigned := r.commit("a", "2", "--no-gpg-sign")
	resigned := r.commit("a", "3")
	r.git("checkout", "-q", "-b", "side")
	r.commit("b", "1")
	r.git("checkout", "-q", "main")
	r.commit("a", "4")
	r.git("merge", "-q", "-S", "--no-edit", "side")
	merged := r.git("rev-parse", "HEAD")

	for _, c := range []struct {
		name, tip, trusted string
		reason             string // "" = accepted
	}{
		{"signed", signed, trusting(t, "", pub), ""},
		{"signed above an unsigned one", resigned, trusting(t, "", stranger, pub), ""},
		{"merge", merged, trusting(t, "", pub), ""},
		{"for git", signed, trusting(t, `namespaces="file,git"`, pub), ""},
		{"in time", signed, trusting(t, `valid-after="20260101Z",valid-before="20260103Z"`, pub), ""},
		{"unsigned", unsigned, trusting(t, "", pub), "not signed"},
		{"stranger", signed, trusting(t, "", stranger), "not trusted"},
		{"too early", signed, trusting(t, `valid-after="20260103Z"`, pub), "not valid at"},
		{"too late", signed, trusting(t, `valid-before="202601020304Z"`, pub), "not valid at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.git("update-ref", "refs/heads/main", c.tip)
			o := r.options()
			o.TrustedKeys = c.trusted
			s := open(t, o)
			_, err := s.Fetch(context.Background(), "")
			var untrusted *UntrustedError
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &untrusted) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("Fetch: %v, want %q", err, c.reason)
			}
			if _, err := s.Files(c.tip, ""); err == nil {
				t.Error("the refused commit's files can be had")
			}
			if !s.clone.Head().IsZero() {
				t.Error("the refused commit became HEAD")
			}
		})
	}
}

// TestForgedCommits takes a good commit apart and expects each change seen.
func TestForgedCommits(t *testing.T) {
	key, pub := newKey(t, "ada")
	r := newRepo(t)
	r.signing(key)
	r.commit("a", "1")
	good := r.git("cat-file", "commit", "HEAD") + "\n"
	tree := r.git("rev-parse", "HEAD^{tree}")
	r.commit("a", "evil")
	evil := r.git("rev-parse", "HEAD^{tree}")
	begin, end := strings.Index(good, "gpgsig "), strings.Index(good, "END SSH SIGNATURE-----\n")+len("END SSH SIGNATURE-----\n")
	sig := good[begin:end]
	unsigned := good[:begin] + good[end:]
	early := strings.Replace(unsigned, "committer ", sig+"committer ", 1)
	keys, err := trust.Read(trusting(t, "", pub))
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"signed before it has a time": early,
		"signed before its author":    strings.Replace(unsigned, "author ", sig+"author ", 1),
		"second unsigned signature":   good[:begin] + "gpgsig-sha256 x\n" + good[begin:],
		"other tree":                  strings.Replace(good, tree, evil, 1),
		"other message":               good + "more\n",
		"added header":                strings.Replace(good, "gpgsig ", "x-more 1\ngpgsig ", 1),
		"two signatures":              strings.Replace(good, "gpgsig ", sig+"gpgsig ", 1),
		"signature in body":           good[:begin] + good[end:] + sig,
		"signature cut":               strings.Replace(good, "-----END SSH SIGNATURE-----", "", 1),
		"hidden tree":                 strings.Replace(good, "tree "+tree, "gpgsig-sha256 x\ntree "+evil+"\ntree "+tree, 1),
		"hidden in header":            strings.Replace(good, "gpgsig ", "gpgsig-sha256 x\n tree "+evil+"\ntree "+evil+"\ngpgsig ", 1),
		"second tree":                 strings.Replace(good, "tree "+tree, "tree "+evil+"\ntree "+tree, 1),
		"PGP":                         strings.ReplaceAll(good, "SSH SIGNATURE", "PGP SIGNATURE"),
		"other continuation":          strings.Replace(good, "\n\n", "\n x\n\n", 1),
	} {
		if forged == good {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := checkRaw(forged, keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := checkRaw(good, keys); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

// checkRaw reads a commit as it would be read from a clone.
func checkRaw(raw string, keys *trust.Keys) error {
	c, err := commit.Parse([]byte(raw))
	if err != nil {
		return err
	}
	return keys.Commit(c)
}

func TestSignerFile(t *testing.T) {
	_, pub := newKey(t, "ada")
	line := string(ssh.MarshalAuthorizedKey(pub))
	for name, content := range map[string]string{
		"empty":           "",
		"other namespace": `ada namespaces="file" ` + line,
		"not this one":    `ada namespaces="!git,*" ` + line,
		"no principal":    line,
		"no key":          "ada\n",
		"CA":              "ada cert-authority " + line,
		"bad time":        `ada valid-after="soon" ` + line,
		"no month 13":     `ada valid-after="20261301" ` + line,
		"bad pattern":     `ada namespaces="[" ` + line,
	} {
		file := filepath.Join(t.TempDir(), "signers")
		writeFile(t, file, content)
		if _, err := trust.Read(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "signers")
	writeFile(t, file, `"ada, the first",bob zeitgeist ssh-nonsense`)
	if _, err := trust.Read(file); err == nil {
		t.Error("nonsense accepted")
	}
	writeFile(t, file, `"ada the first",bob namespaces="g*" `+line+"\r\n")
	if keys, err := trust.Read(file); err != nil || keys == nil {
		t.Errorf("quoted principal: %v, %v", keys, err)
	}
}

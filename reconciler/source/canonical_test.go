package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitboot/gitboot/reconciler/source/commit"
)

// TestCommitsOfGit reads commits of every kind that git itself makes.
func TestCommitsOfGit(t *testing.T) {
	ssh, _ := newKey(t, "ada")
	r := newRepo(t)
	r.commit("a", "1")
	r.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", "")
	r.git("commit", "-q", "--allow-empty", "-m", "🚀 ünïcode\n\ntree 1\nparent 2\n\ngpgsig 3")
	r.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-m", "l\xe4tin")
	r.git("commit", "-q", "--allow-empty", "-m", "x", "--author", "A. U. \"Thor\" O'Rly, Jr. <>", "--date", "1970-01-01T00:00:00-1145")
	r.git("checkout", "-q", "-b", "side")
	r.commit("b", "1")
	r.git("checkout", "-q", "-b", "other", "main")
	r.commit("c", "1")
	r.git("checkout", "-q", "main")
	r.commit("d", "1")
	r.git("merge", "-q", "--no-edit", "side", "other")
	r.git("checkout", "-q", "side")
	r.commit("e", "1")
	r.signing(ssh)
	r.git("tag", "-s", "-m", "signed\n\ntag", "v1")
	r.git("checkout", "-q", "main")
	r.git("merge", "-q", "--no-edit", "v1")
	r.commit("a", "ssh")
	r.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-m", "l\xe4tin, signed")
	r.git("config", "gpg.format", "openpgp")
	r.git("config", "gpg.program", newGPG(t))
	r.git("config", "user.signingkey", "ada@example.org")
	r.commit("a", "gpg")

	var all strings.Builder
	for _, h := range strings.Fields(r.git("rev-list", "--all")) {
		raw := r.raw(h)
		all.WriteString(raw)
		c, err := commit.Parse([]byte(raw))
		if err != nil {
			t.Errorf("%v:\n%s", err, raw)
			continue
		}
		if c.Hash.String() != h {
			t.Errorf("%s is read as %s", h, c.Hash)
		}
		agree(t, []byte(raw), c)
	}
	for _, kind := range []string{"\nmergetag object ", "\nencoding ISO", "\ngpgsig -----BEGIN SSH", "\ngpgsig -----BEGIN PGP"} {
		if !strings.Contains(all.String(), kind) {
			t.Errorf("no commit has %q: this test shows less than it says", kind)
		}
	}
}

// raw is a commit as git keeps it.
func (r *repo) raw(hash string) string {
	r.t.Helper()
	cmd := exec.Command("git", "cat-file", "commit", hash)
	cmd.Dir, cmd.Env = r.dir, gitEnv()
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out)
}

// newGPG makes a key, and returns a program that signs with it.
func newGPG(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.Command(program, append([]string{"--homedir", dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v (Debian: gnupg)\n%s", program, err, out)
		}
	}
	run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "ada@example.org", "ed25519", "sign", "never")
	t.Cleanup(func() { run("gpgconf", "--kill", "all") })
	program := filepath.Join(dir, "sign")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec gpg --homedir "+dir+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return program
}

// agree expects go-git to read the same as we do.
func agree(t *testing.T, raw []byte, c *commit.Commit) {
	t.Helper()
	var o plumbing.MemoryObject
	o.SetType(plumbing.CommitObject)
	if _, err := o.Write(raw); err != nil {
		t.Fatal(err)
	}
	var other object.Commit
	if err := other.Decode(&o); err != nil {
		t.Fatalf("go-git refuses it: %v\n%q", err, raw)
	}
	if other.TreeHash != c.Tree || !slices.Equal(other.ParentHashes, c.Parents) {
		t.Errorf("go-git reads other links: %v %v, not %v %v\n%q", other.TreeHash, other.ParentHashes, c.Tree, c.Parents, raw)
	}
	if !other.Committer.When.Equal(c.Committer.When) || !other.Author.When.Equal(c.Author.When) {
		t.Errorf("go-git reads other times: %v, not %v\n%q", other.Committer.When, c.Committer.When, raw)
	}
	if other.Author.Name != c.Author.Name || other.Message != c.Message || strings.TrimSuffix(other.PGPSignature, "\n") != c.Signature {
		t.Errorf("go-git reads otherwise: %+v, not %+v\n%q", other, c, raw)
	}
	var signed plumbing.MemoryObject
	if err := other.EncodeWithoutSignature(&signed); err != nil {
		t.Fatal(err)
	}
	if !c.Second && signed.Hash() != plumbing.ComputeHash(plumbing.CommitObject, c.Signed) {
		t.Errorf("go-git takes other bytes for signed than\n%q", c.Signed)
	}
}

const plainCommit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n" +
	"parent 1111111111111111111111111111111111111111\n" +
	"author Ada <ada@example.org> 1767323045 +0000\n" +
	"committer Bob <bob@example.org> 1767323046 -0130\n" +
	"\nsubject\n"

func TestOtherForms(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(plainCommit, old, new, 1) }
	const sig = "gpgsig x\n y\n"
	forms := map[string]string{
		"empty":                       "",
		"no headers":                  "\n\nsubject\n",
		"no end":                      strings.TrimSuffix(plainCommit, "\nsubject\n"),
		"zero byte in the message":    plainCommit + "\x00",
		"zero byte in a name":         with("Ada", "A\x00a"),
		"no tree":                     with("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n", ""),
		"two trees":                   with("parent", "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent"),
		"tree in capitals":            with("4b825dc", "4B825DC"),
		"short tree":                  with("4b825dc", "4b825d"),
		"space after tree":            with("4904\n", "4904 \n"),
		"parent before tree":          "parent 1111111111111111111111111111111111111111\n" + plainCommit,
		"parent after author":         with("committer", "parent 2222222222222222222222222222222222222222\ncommitter"),
		"parent after all":            with("\n\n", "\nparent 2222222222222222222222222222222222222222\n\n"),
		"short parent":                with("1111\n", "111\n"),
		"signature first":             sig + plainCommit,
		"signature before parent":     with("parent", sig+"parent"),
		"signature before author":     with("author", sig+"author"),
		"signature before committer":  with("committer", sig+"committer"),
		"two signatures":              with("\n\n", "\n"+sig+sig+"\n"),
		"two signatures, apart":       with("\n\n", "\n"+sig+"encoding x\n"+sig+"\n"),
		"two for SHA-256":             with("\n\n", "\ngpgsig-sha256 x\ngpgsig-sha256 y\n\n"),
		"two encodings":               with("\n\n", "\nencoding x\nencoding y\n\n"),
		"empty signature":             with("\n\n", "\ngpgsig\n\n"),
		"empty signature, continued":  with("\n\n", "\ngpgsig \n y\n\n"),
		"another kind of signature":   with("\n\n", "\ngpgsig-sha512 x\n\n"),
		"encoding continued":          with("\n\n", "\nencoding x\n y\n\n"),
		"continues a standard header": with("author", " x\nauthor"),
		"continues committer":         with("\n\n", "\n x\n\n"),
		"no author":                   with("author Ada <ada@example.org> 1767323045 +0000\n", ""),
		"no committer":                with("committer Bob <bob@example.org> 1767323046 -0130\n", ""),
		"two authors":                 with("author", "author Eve <eve@example.org> 1 +0000\nauthor"),
		"two committers":              with("\n\n", "\ncommitter Eve <eve@example.org> 1 +0000\n\n"),
		"committer before author":     with("author", "committer Eve <eve@example.org> 1 +0000\nauthor"),
		"no name":                     with("Bob <", "<"),
		"no space before the mail":    with("Bob <", "Bob<"),
		"no mail":                     with(" <bob@example.org>", ""),
		"two mails":                   with("Bob", "Bob <eve> 1 +0000"),
		"mail not closed":             with("org> 1767323046", "org 1767323046"),
		"no time":                     with(" 1767323046 -0130", ""),
		"time of letters":             with("1767323046", "soon"),
		"time below zero":             with("1767323046", "-1"),
		"time with a sign":            with("1767323046", "+1767323046"),
		"time with a zero before it":  with("1767323046", "01767323046"),
		"time beyond all calendars":   with("1767323046", "99999999999999"),
		"time that overflows":         with("1767323046", "18446744073709551617"),
		"two spaces before time":      with(" 1767323046", "  1767323046"),
		"no zone":                     with(" -0130", ""),
		"zone without sign":           with("-0130", "0130"),
		"long zone":                   with("-0130", "-01300"),
		"zone of letters":             with("-0130", "-01x0"),
		"more after the zone":         with("-0130", "-0130 x"),
		"carriage returns":            strings.ReplaceAll(plainCommit, "\n", "\r\n"),
		"header without a name":       with("\n\n", "\n\tx y\n\n"),
		"large":                       plainCommit + strings.Repeat("x", commit.MaxSize),
	}
	for name, raw := range forms {
		if raw == plainCommit {
			t.Fatalf("%s: nothing changed", name)
		}
		if c, err := commit.Parse([]byte(raw)); err == nil {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
	for name, raw := range map[string]string{
		"plain":              plainCommit,
		"root":               with("parent 1111111111111111111111111111111111111111\n", ""),
		"signed":             with("\n\n", "\n"+sig+"\n"),
		"others' headers":    with("\n\n", "\nHG:extra a\nHG:extra b\n tree c\nchange-id\n"+sig+"x-y z\n \n\n"),
		"name with a sign <": with("subject", "a <b> 1 +0000"),
	} {
		c, err := commit.Parse([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		agree(t, []byte(raw), c)
	}
}

// FuzzCanonical expects that what is read is read by others in the same way.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(plainCommit))
	for _, change := range [][2]string{
		{"\n\n", "\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n\n"},
		{"\n\n", "\nmergetag object 1111111111111111111111111111111111111111\n type commit\n \n tag\nencoding latin1\n\n"},
		{"committer", "gpgsig x\n y\ncommitter"},
		{"parent", "gpgsig x\n y\nparent"},
		{"\n\n", "\ngpgsig-sha256 x\n tree y\ntree z\n\n"},
		{"1767323046", "0"},
	} {
		f.Add([]byte(strings.Replace(plainCommit, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := commit.Parse(raw)
		if err != nil {
			return
		}
		agree(t, raw, c)
		if c.Signature == "" && !strings.Contains(string(raw), "\ngpgsig") && string(c.Signed) != string(raw) {
			t.Errorf("without a signature, all is signed: %q", c.Signed)
		}
	})
}

package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

// vault opens secrets whose files hold what they are.
func vault(s kind.Secret) ([]byte, error) {
	if string(s.Sealed) == "" {
		return nil, errors.New("no key for " + s.Name)
	}
	return []byte("open " + string(s.Sealed) + "\n"), nil
}

func sealed(name string) kind.Secret { return kind.Secret{Name: name, Sealed: []byte(name)} }

func withSecrets(t *testing.T, files ...kind.File) Input {
	t.Helper()
	return Input{Machine: "m", Image: "i", Tag: "t", StateDir: t.TempDir(), Open: vault, Hooks: []kind.Hook{{Name: "h", Files: files}}}
}

func TestSecretsAreInserted(t *testing.T) {
	in := withSecrets(t,
		kind.File{Path: "/etc/psk", Mode: 0o600, Content: []byte("a=\nb=;\n"), Inserts: []kind.Insert{
			{Secret: sealed("wifi"), At: 2}, {Secret: sealed("vpn"), At: 5}, {Secret: sealed("wifi"), At: 5}}},
		kind.File{Path: "/etc/key", Mode: 0o600, Inserts: []kind.Insert{{Secret: sealed("wifi"), Whole: true}}},
	)
	e, out, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	if got := e["/etc/psk"].content; got != "a=open wifi\nb=open vpnopen wifi;\n" {
		t.Errorf("/etc/psk is %q", got)
	}
	if got := e["/etc/key"].content; got != "open wifi\n" {
		t.Errorf("/etc/key is %q", got)
	}
	if !out.Secrets {
		t.Error("the layer does not say that it holds secrets")
	}
	if in.Hooks[0].Files[0].Inserts == nil || strings.Contains(string(in.Hooks[0].Files[0].Content), "open") {
		t.Error("what was declared was written to")
	}
}

// A layer with secrets names them, to root alone, beside what makes its digest
// tell nothing of them: two machines with the same secret have different digests,
// and one machine has the same each time.
func TestLayerNamesItsSecrets(t *testing.T) {
	in := withSecrets(t, kind.File{Path: "/etc/key", Mode: 0o600, Inserts: []kind.Insert{{Secret: sealed("wifi"), Whole: true}}})
	e, out, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	named := e[kind.SecretsFile]
	if !strings.HasSuffix(named.content, "\nsecret wifi\n") || len(named.content) < 64 || named.Mode != 0o600 {
		t.Errorf("%s is %q, %o", kind.SecretsFile, named.content, named.Mode)
	}
	if _, again, err := renderInput(t, in); err != nil || again.DiffID != out.DiffID {
		t.Errorf("rendered again: %v, %v", again, err)
	}
	in.StateDir = t.TempDir()
	if _, other, err := renderInput(t, in); err != nil || other.DiffID == out.DiffID {
		t.Errorf("another machine's is the same: %v", err)
	}
	if e, out, err = renderInput(t, withSecrets(t, kind.File{Path: "/etc/x"})); err != nil || out.Secrets || e[kind.SecretsFile].Header != nil {
		t.Errorf("without secrets: %v, %v", out, err)
	}
}

// What decides whether hooks are rendered again is what is encrypted, and
// nothing that is opened.
func TestKeyKnowsWhatIsEncrypted(t *testing.T) {
	key := func(s kind.Secret) string {
		in := withSecrets(t, kind.File{Path: "/etc/key", Inserts: []kind.Insert{{Secret: s, Whole: true}}})
		in.Open = func(kind.Secret) ([]byte, error) { t.Error("it was opened"); return nil, nil }
		return Key(in)
	}
	one := key(sealed("wifi"))
	if other := key(kind.Secret{Name: "wifi", Sealed: []byte("again")}); other == one {
		t.Error("another file is no change")
	}
	if other := key(kind.Secret{Name: "wifi", Sealed: []byte("wifi"), Key: "age1x"}); other != one {
		t.Error("another key of the machine is a change")
	}
}

func TestSecretThatCannotBeOpened(t *testing.T) {
	in := withSecrets(t, kind.File{Path: "/etc/key", Inserts: []kind.Insert{{Secret: kind.Secret{Name: "wifi"}, Whole: true}}})
	if _, _, err := renderInput(t, in); err == nil || !strings.Contains(err.Error(), `hook "h": file /etc/key: no key for wifi`) {
		t.Errorf("%v", err)
	}
	in.Open = nil
	if _, _, err := renderInput(t, in); err == nil || !strings.Contains(err.Error(), `open secret "wifi"`) {
		t.Errorf("%v", err)
	}
}

// A script reads its secrets in files that none but it sees, and that are gone
// with it; what it says of them is not logged.
func TestScriptsSecrets(t *testing.T) {
	temp := t.TempDir()
	script := sh(`
cat $GITBOOT_SECRETS/wifi > $GITBOOT_OUT/copy
stat -c %a $GITBOOT_SECRETS $GITBOOT_SECRETS/* > $GITBOOT_OUT/modes
stat -f -c %T $GITBOOT_SECRETS > $GITBOOT_OUT/where
(echo > $GITBOOT_SECRETS/other) 2> /dev/null || echo no > $GITBOOT_OUT/written
echo $GITBOOT_SECRETS > $GITBOOT_OUT/dir
set -x
: $(cat $GITBOOT_SECRETS/wifi)
printf '%05000d open wifi' 1
`)
	script.Secrets = []kind.Secret{sealed("wifi"), sealed("vpn")}
	log, text := textLog()
	in := Input{Machine: "m", Image: "i", Tag: "t", StateDir: t.TempDir(), TempDir: temp, Open: vault, Log: log, Hooks: []kind.Hook{{Name: "h", Run: []kind.Script{script}}}}
	e, out, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	if got := e["/copy"].content; got != "open wifi\n" || !out.Secrets {
		t.Errorf("copied %q", got)
	}
	if got := e["/modes"].content; got != "700\n400\n400\n" {
		t.Errorf("modes are %q", got)
	}
	if os.Geteuid() == 0 {
		if got := e["/where"].content + e["/written"].content; got != "tmpfs\nno\n" {
			t.Errorf("they lie on, and may be written: %q", got)
		}
	}
	if said := text.String(); strings.Contains(said, "open wifi") || !strings.Contains(said, "(secret)") || !strings.Contains(said, "(a long line, which may have a secret in it)") {
		t.Errorf("the log has\n%s", said)
	}
	dir := strings.TrimSpace(e["/dir"].content)
	if left, _ := os.ReadDir(temp); len(left) > 0 || filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(dir)))) != temp {
		t.Errorf("left of %s: %v", dir, left)
	}
}

// What a failing script says is in its error, but for its secrets.
func TestFailingScriptTellsNoSecret(t *testing.T) {
	script := sh("cat $GITBOOT_SECRETS/wifi\necho why\nexit 1\n")
	script.Secrets = []kind.Secret{sealed("wifi")}
	in := withSecrets(t)
	in.Hooks[0].Run = []kind.Script{script}
	_, _, err := renderInput(t, in)
	if err == nil || strings.Contains(err.Error(), "open wifi") || !strings.Contains(err.Error(), "\t(secret)\n\twhy") {
		t.Errorf("%v", err)
	}
}

// What was opened is overwritten, and so is what it was put into.
func TestForget(t *testing.T) {
	s := safe{open: vault}
	text, err := s.text(sealed("wifi"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.fill([]kind.File{{Path: "/x", Inserts: []kind.Insert{{Secret: sealed("wifi"), Whole: true}}}})
	if err != nil || string(f[0].Content) != "open wifi\n" {
		t.Fatal(f, err)
	}
	if !s.forget() || strings.Trim(string(text)+string(f[0].Content), "\x00") != "" {
		t.Errorf("kept %q, %q", text, f[0].Content)
	}
	if s.forget() {
		t.Error("there was nothing to forget any more")
	}
}

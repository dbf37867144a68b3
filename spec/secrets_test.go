package spec

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/secret"
)

func newKey(t *testing.T) secret.Identity {
	t.Helper()
	id, _, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func seal(t *testing.T, plain string, to ...secret.Identity) *fstest.MapFile {
	t.Helper()
	var keys []secret.Recipient
	for _, id := range to {
		keys = append(keys, id.Recipient)
	}
	sealed, err := secret.Seal([]byte(plain), keys)
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: sealed, Mode: 0o644}
}

// secretive is a repo with two machines, of which one has a key, and a secret
// that it and Ada can read. more is put into the one hook.
func secretive(t *testing.T, more string) (fsys fstest.MapFS, laptop, ada secret.Identity) {
	t.Helper()
	laptop, ada = newKey(t), newKey(t)
	fsys = repo(fmt.Sprintf(`
[image.a]
pull = "a"
[machine.laptop]
key    = %q
images = ["a"]
hooks  = ["h"]
[machine.desk]
images = ["a"]
[defaults.secret]
recipients = [%q]
[secret.wifi]
file     = "secrets/wifi.age"
machines = ["lap*"]
[hook.h]
%s
`, laptop, ada, more))
	fsys["secrets/wifi.age"] = seal(t, "hunter2\n", laptop, ada)
	return fsys, laptop, ada
}

func TestResolveSecrets(t *testing.T) {
	fsys, laptop, _ := secretive(t, `
[[hook.h.file]]
path     = "/etc/psk"
template = "psk={{ secret \"wifi\" }}\n"
[[hook.h.file]]
path   = "/etc/key"
secret = "wifi"
mode   = "0640"
owner  = "0:7"
[[hook.h.run]]
content = "#!/bin/sh"
secrets = ["wifi"]
`)
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(t.Context(), f.Machines()); err != nil {
		t.Fatal(err)
	}
	w, err := f.Resolve(t.Context(), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	wifi := kind.Secret{Name: "wifi", Sealed: fsys["secrets/wifi.age"].Data, Key: laptop.String()}
	got := w.Images[0].Hooks[0]
	want := []kind.File{
		{Path: "/etc/psk", Mode: 0o600, Content: []byte("psk=\n"), Inserts: []kind.Insert{{Secret: wifi, At: 4}}},
		{Path: "/etc/key", Mode: 0o640, GID: 7, Inserts: []kind.Insert{{Secret: wifi, Whole: true}}},
	}
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]kind.Secret{wifi}, got.Run[0].Secrets); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsReaders(t *testing.T) {
	fsys, laptop, ada := secretive(t, "remove = [\"/x\"]\n[secret.all]\nfile = \"all.age\"\nmachines = [\"*\"]\nrecipients = []\n")
	fsys["all.age"] = seal(t, "", laptop)
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := f.Secrets(t.Context())
	if err != nil || len(secrets) != 2 {
		t.Fatal(secrets, err)
	}
	all, wifi := secrets[0], secrets[1]
	if fmt.Sprint(all.Machines, all.Keyless, all.Others, all.Recipients) != fmt.Sprint("[laptop] [desk] 0 [", laptop.Recipient, "]") {
		t.Errorf("all: %+v", all)
	}
	if fmt.Sprint(wifi.Machines, wifi.Keyless, wifi.Others, wifi.Recipients) != fmt.Sprint("[laptop] [] 1 [", laptop.Recipient, " ", ada.Recipient, "]") {
		t.Errorf("wifi: %+v", wifi)
	}
}

func TestSecretProblems(t *testing.T) {
	for name, test := range map[string]struct {
		hook string
		file *fstest.MapFile
		want string
	}{
		"unknown in a template": {"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ secret \\\"wify\\\" }}\"\n", nil,
			`hook.h.file[0].template = "wify": is no secret of this repo (did you mean "wifi"?); declare [secret.wify], or correct the name`},
		"unknown":            {"[[hook.h.file]]\npath = \"/a\"\nsecret = \"wify\"\n", nil, `hook.h.file[0].secret = "wify": is no secret of this repo`},
		"unknown of scripts": {"[[hook.h.run]]\ncontent = \"#!/bin/sh\"\nsecrets = [\"wify\"]\n", nil, `hook.h.run[0].secrets[0] = "wify": is no secret of this repo`},
		"twice":              {"[[hook.h.run]]\ncontent = \"#!/bin/sh\"\nsecrets = [\"wifi\", \"wifi\"]\n", nil, `is listed twice`},
		"for everybody": {"[[hook.h.file]]\npath = \"/a\"\nsecret = \"wifi\"\nmode = \"0644\"\n", nil,
			`hook.h.file[0].mode = "0644": lets everybody read a secret; leave it out, for 0600`},
		"a template for everybody": {"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ secret \\\"wifi\\\" }}\"\nmode = \"0755\"\n", nil, `lets everybody read a secret`},
		"in a script":              {"[[hook.h.run]]\ntemplate = \"#!/bin/sh\\n{{ secret \\\"wifi\\\" }}\"\n", nil, `a secret can only be put into a file`},
		"in a built-in":            {"[hook.h.hostname]\nname = \"{{ secret \\\"wifi\\\" }}\"\n", nil, `a secret can only be put into a file`},
		"in the environment":       {"[[hook.h.run]]\ncontent = \"#!/bin/sh\"\nenv = { X = \"{{ secret \\\"wifi\\\" }}\" }\n", nil, `a secret can only be put into a file`},
		"in a link":                {"[[hook.h.link]]\npath = \"/a\"\nto = \"{{ secret \\\"wifi\\\" }}\"\n", nil, `a secret can only be put into a file`},
		"printed":                  {"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ secret \\\"wifi\\\" | html }}\"\n", nil, `a secret can only be printed as it is`},
		"beside the list of them":  {"[[hook.h.file]]\npath = \"/usr/lib/gitboot/secrets/x\"\nsecret = \"wifi\"\n", nil, `needs /usr/lib/gitboot/secrets to be a directory`},
		"in the clear": {"remove = [\"/x\"]\n", &fstest.MapFile{Data: []byte("hunter2\n")},
			`secret.wifi.file = "secrets/wifi.age": is not a file that age has encrypted; ` + "`gitboot secret encrypt wifi` writes it; if it was committed in the clear"},
		"missing":       {"remove = [\"/x\"]\n", &fstest.MapFile{}, `secret.wifi.file = "secrets/wifi.age": is not in the repo; ` + "`gitboot secret encrypt wifi` writes it"},
		"too large":     {"remove = [\"/x\"]\n", &fstest.MapFile{Data: make([]byte, secret.MaxFile+1)}, `cannot be read: it is larger than 1 MiB`},
		"for others":    {"remove = [\"/x\"]\n", seal(t, "", newKey(t)), "is not encrypted to 1 of these: machine laptop, age1"},
		"for one more":  {"remove = [\"/x\"]\n", seal(t, "", newKey(t), newKey(t), newKey(t)), "can be read with a key more than it should; run `gitboot secret rekey wifi`"},
		"no machine":    {"remove = [\"/x\"]\n[secret.x]\nfile = \"secrets/wifi.age\"\nmachines = [\"lapdog\"]\n", nil, `secret.x.machines[0] = "lapdog": is no machine of this repo`},
		"no machines":   {"remove = [\"/x\"]\n[secret.x]\nfile = \"secrets/wifi.age\"\n", nil, `secret.x: has no machines`},
		"no key":        {"remove = [\"/x\"]\n[secret.x]\nfile = \"secrets/wifi.age\"\nmachines = []\nrecipients = [\"ada\"]\n", nil, `secret.x.recipients[0]: is not a key that age encrypts to`},
		"a private key": {"remove = [\"/x\"]\n[machine.x]\nimages = [\"a\"]\nkey = \"AGE-SECRET-KEY-1QQQ\"\n", nil, `machine.x.key: is a private key, which belongs in no repo`},
		"who may not": {"remove = [\"/x\"]\n[hook.i]\n[[hook.i.file]]\npath = \"/a\"\nsecret = \"wifi\"\n[machine.x]\nimages = [\"a\"]\nhooks = [\"i\"]\n", nil,
			`is used by machine x, which is not among those that can read it; add x to machines at gitboot.toml:12`},
		"who cannot": {"remove = [\"/x\"]\n[hook.i]\n[[hook.i.file]]\npath = \"/a\"\nsecret = \"wifi\"\n[machine.lap]\nimages = [\"a\"]\nhooks = [\"i\"]\n", nil,
			"is used by machine lap, which has no key; give [machine.lap] the key that `gitboot secret key` prints there"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys, _, _ := secretive(t, test.hook)
			if test.file != nil {
				fsys["secrets/wifi.age"] = test.file
			}
			if name == "missing" {
				delete(fsys, "secrets/wifi.age")
			}
			f, err := Load(t.Context(), fsys)
			if err == nil {
				err = f.Check(t.Context(), f.Machines())
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// A machine's run does not look at what a secret is encrypted to: other machines,
// and other images, go on.
func TestResolveLooksAtNoStanzas(t *testing.T) {
	fsys, _, _ := secretive(t, "[[hook.h.file]]\npath = \"/a\"\nsecret = \"wifi\"\n")
	fsys["secrets/wifi.age"] = seal(t, "", newKey(t))
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resolve(t.Context(), "laptop"); err != nil {
		t.Error(err)
	}
}

// Who encrypts has no file yet.
func TestLoadToSeal(t *testing.T) {
	fsys, _, _ := secretive(t, "remove = [\"/x\"]\n")
	delete(fsys, "secrets/wifi.age")
	f, err := LoadToSeal(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	if secrets, err := f.Secrets(t.Context()); err != nil || len(secrets) != 1 || len(secrets[0].Recipients) != 2 || secrets[0].Mismatch() != "is not in the repo" {
		t.Errorf("%v, %v", secrets, err)
	}
	fsys["gitboot.toml"] = &fstest.MapFile{Data: []byte("[secret.x]\n"), Mode: fs.ModePerm}
	if _, err := LoadToSeal(t.Context(), fsys); err == nil || !strings.Contains(err.Error(), "secret.x: has no file") {
		t.Errorf("%v", err)
	}
}

package unlocking_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot/unlocking"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/tests/need"
)

// disk is an encrypted one as cryptsetup(8) makes it, with a token for its only key slot
// as systemd-cryptenroll(1) leaves them, "" for none.
func disk(t *testing.T, token string, more ...[]string) *luks.Header {
	t.Helper()
	need.Program(t, "cryptsetup")
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command("cryptsetup", append(args, "--batch-mode")...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
	run("secret", "luksFormat", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", file, "-")
	if token != "" {
		run(token, "token", "import", file)
	}
	for _, args := range more {
		run("secret\nother\n", append(args, file)...)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := luks.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// With what is declared and with nothing, by what a disk has, somebody has to be there
// or not, and what leads nowhere is refused.
func TestWays(t *testing.T) {
	const (
		pcrs   = `{"type":"systemd-tpm2","keyslots":["0"],"tpm2-blob":"AAAAAAAA","tpm2-policy-hash":"00","tpm2-pcrs":[7,14],"tpm2-pcr-bank":"sha256"}`
		pin    = `{"type":"systemd-tpm2","keyslots":["0"],"tpm2-blob":"AAAAAAAA","tpm2-policy-hash":"00","tpm2-pcrs":[],"tpm2-pin":true}`
		signed = `{"type":"systemd-tpm2","keyslots":["0"],"tpm2-blob":"AAAAAAAA","tpm2-policy-hash":"00","tpm2-pcrs":[],"tpm2_pubkey_pcrs":[11]}`
		spare  = `{"type":"systemd-recovery","keyslots":["0"]}`
	)
	for name, c := range map[string]struct {
		token, how string
		more       [][]string
		ways       string // name, what it goes by, ! for somebody who types, ? for what leads nowhere
		unattended bool
		refused    string
	}{
		"nothing declared":        {ways: "passphrase slot 0!"},
		"a recovery key is typed": {token: spare, ways: "passphrase slot 0!"},
		"a file":                  {how: "keyfile:UUID=12AB-34CD:/key", ways: "keyfile UUID=12AB-34CD:/key", unattended: true},
		"a TPM alone":             {token: pcrs, ways: "tpm2 PCRs 7+14, passphrase?", unattended: true},
		"a PIN": {token: pin, more: [][]string{{"luksAddKey", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}},
			ways: "tpm2 no PCR and a PIN!, passphrase slot 1!"},
		"no TPM":               {how: "tpm2", ways: "tpm2?", refused: "systemd-cryptenroll"},
		"a TPM that signs":     {token: signed, ways: "tpm2?, passphrase?", refused: "takes a signature"},
		"nobody knows a slot":  {token: pcrs, how: "passphrase,timeout:30", ways: "passphrase?", refused: "luksAddKey"},
		"no TPM, then a typed": {how: "tpm2,passphrase", ways: "tpm2?, passphrase slot 0!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, how := disk(t, c.token, c.more...), deployment.UnlockIn([]string{"quiet", deployment.ParamUnlock + "=" + c.how})
			var said []string
			ways := unlocking.Ways(h, how)
			for _, w := range ways {
				switch {
				case w.Wrong != nil:
					said = append(said, w.Name+"?")
				case w.Attended:
					said = append(said, w.Name+" "+w.By+"!")
				default:
					said = append(said, w.Name+" "+w.By)
				}
			}
			if got := strings.Join(said, ", "); got != c.ways || unlocking.Unattended(ways) != c.unattended {
				t.Errorf("the ways are %s, unattended: %v", got, unlocking.Unattended(ways))
			}
			if err := unlocking.Check(h, how); (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

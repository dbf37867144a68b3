package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/tests/need"
)

// Who restarts a machine by themselves are told that it waits for somebody; and what takes
// more memory than there is, is told.
func TestEncryption(t *testing.T) {
	need.Program(t, "cryptsetup")
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cryptsetup", "--batch-mode", "luksFormat", "--pbkdf", "argon2id", "--pbkdf-memory", "65536", "--pbkdf-force-iterations", "4", file, "-")
	cmd.Stdin = strings.NewReader("secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
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
	key := deployment.Unlock{Ways: []string{deployment.UnlockTPM2, deployment.UnlockKeyFile}, KeyFile: deployment.Location{Device: "LABEL=keys", Path: "/k"}}
	for name, c := range map[string]struct {
		how      deployment.Unlock
		restarts bool
		memory   int64
		want     string
	}{
		"people restart it":  {memory: 1 << 30, want: "ok it is opened by passphrase (slot 0); somebody has to be there"},
		"nobody is there":    {restarts: true, want: "warn it is opened by passphrase (slot 0): the agent restarts this machine, which then waits"},
		"a key file is":      {how: key, restarts: true, want: "warn tpm2 is tried, and leads nowhere: | ok it is opened by keyfile (LABEL=keys:/k)"},
		"a small memory":     {memory: 70 << 20, want: "warn key slot 0 takes 64 MiB of memory at boot, of the 70 MiB | ok it is opened by passphrase"},
		"no way leads there": {how: deployment.Unlock{Ways: []string{deployment.UnlockTPM2}}, want: "fail nothing that is declared opens the encrypted disk"},
	} {
		found, want := judgeEncrypted(h, c.how, c.restarts, c.memory), strings.Split(c.want, " | ")
		if len(found) != len(want) {
			t.Fatalf("%s: %+v", name, found)
		}
		for i, f := range found {
			if got := string(f.Verdict) + " " + f.Message; !strings.HasPrefix(got, want[i]) || (f.Remedy == "") != (f.Verdict == OK) {
				t.Errorf("%s: %q, remedy %q", name, got, f.Remedy)
			}
		}
	}
}

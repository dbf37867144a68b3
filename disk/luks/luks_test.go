package luks_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/tests/need"
)

const secret = "correct horse"

// cheap is what a key slot takes the least time with.
var cheap = []string{"--pbkdf", "argon2id", "--pbkdf-memory", "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2"}

// encrypted is a disk that cryptsetup(8) has formatted.
func encrypted(t testing.TB, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 20<<20); err != nil {
		t.Fatal(err)
	}
	cryptsetup(t, secret, append([]string{"luksFormat", file, "-"}, args...)...)
	return file
}

func cryptsetup(t testing.TB, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("cryptsetup", append([]string{"--batch-mode"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
}

// volumeKey is the key of a disk's data, as cryptsetup finds it.
func volumeKey(t testing.TB, file string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "key")
	cryptsetup(t, secret, "luksDump", file, "--dump-volume-key", "--volume-key-file", out, "--key-file", "-")
	key, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func unlock(t testing.TB, file string, try luks.Try) ([]byte, error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := luks.Read(f)
	if err != nil {
		return nil, err
	}
	if try.Memory == 0 {
		try.Memory = 64 << 20
	}
	return h.Unlock(t.Context(), f, try)
}

// The key of what cryptsetup has formatted, in many ways, is what cryptsetup finds.
func TestKeyIsCryptsetups(t *testing.T) {
	need.Program(t, "cryptsetup")
	pbkdf2 := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	old := []string{"--type", "luks1", "--pbkdf-force-iterations", "1000"}
	for name, args := range map[string][]string{
		"argon2id":         cheap,
		"argon2i":          {"--pbkdf", "argon2i", "--pbkdf-memory", "32", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1"},
		"pbkdf2":           pbkdf2,
		"sha512":           slices.Concat(pbkdf2, []string{"--hash", "sha512"}),
		"short key":        slices.Concat(pbkdf2, []string{"--key-size", "256", "--sector-size", "512"}),
		"essiv":            slices.Concat(pbkdf2, []string{"--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"}),
		"large header":     slices.Concat(cheap, []string{"--luks2-metadata-size", "64k", "--luks2-keyslots-size", "1m"}),
		"LUKS1":            old,
		"LUKS1 sha1":       slices.Concat(old, []string{"--hash", "sha1", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "128"}),
		"LUKS1 cbc":        slices.Concat(old, []string{"--hash", "sha512", "--cipher", "aes-cbc-plain64", "--key-size", "256"}),
		"LUKS1 xts, plain": slices.Concat(old, []string{"--cipher", "aes-xts-plain", "--key-size", "256"}),
	} {
		t.Run(name, func(t *testing.T) {
			file := encrypted(t, args...)
			key, err := unlock(t, file, luks.Try{Passphrase: []byte(secret)})
			if err != nil || !bytes.Equal(key, volumeKey(t, file)) {
				t.Errorf("the key is %x: %v", key, err)
			}
			if _, err := unlock(t, file, luks.Try{Passphrase: []byte("correct  horse")}); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("another passphrase: %v", err)
			}
		})
	}
}

// What a header says is what blkid(8) and cryptsetup say of it.
func TestRead(t *testing.T) {
	need.Program(t, "cryptsetup")
	const uuid = "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"
	file := encrypted(t, append(cheap, "--uuid", uuid, "--offset", "16384", "--sector-size", "1024")...)
	cryptsetup(t, `{"type":"some-token","keyslots":["0"],"of":"it"}`, "token", "import", file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := luks.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != 2 || h.UUID != uuid || h.Data.Offset != 8<<20 || h.Data.Size != 0 || h.Data.Cipher != "aes-xts-plain64" || h.Data.Sector != 1024 {
		t.Errorf("it is %+v", h)
	}
	if len(h.Tokens) != 1 || h.Tokens[0].Type != "some-token" || !slices.Equal(h.Tokens[0].Slots, []string{"0"}) {
		t.Errorf("its tokens are %+v", h.Tokens)
	}
}

// Of several key slots that is found which the passphrase is of; one that is to be
// ignored is tried where it is named alone.
func TestSlots(t *testing.T) {
	need.Program(t, "cryptsetup")
	file := encrypted(t, cheap...)
	second := filepath.Join(t.TempDir(), "second")
	if err := os.WriteFile(second, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	cryptsetup(t, secret, append([]string{"luksAddKey", file, second, "--key-file", "-", "--key-slot", "5"}, cheap...)...)
	try := luks.Try{Passphrase: []byte("second")}
	if _, err := unlock(t, file, try); err != nil {
		t.Error(err)
	}
	if _, err := unlock(t, file, luks.Try{Passphrase: []byte("second"), Slots: []string{"0"}}); !errors.Is(err, luks.ErrPassphrase) {
		t.Errorf("on another slot: %v", err)
	}
	cryptsetup(t, "", "config", file, "--key-slot", "5", "--priority", "ignore")
	if _, err := unlock(t, file, try); !errors.Is(err, luks.ErrPassphrase) {
		t.Errorf("on a slot that is to be ignored: %v", err)
	}
	try.Slots = []string{"5"}
	if _, err := unlock(t, file, try); err != nil {
		t.Error(err)
	}
	try.Memory = 1
	if _, err := unlock(t, file, try); err == nil || errors.Is(err, luks.ErrPassphrase) || !strings.Contains(err.Error(), "are free") {
		t.Errorf("without memory: %v", err)
	}
}

// One of the two headers is enough, and without either there is an error.
func TestDamage(t *testing.T) {
	need.Program(t, "cryptsetup")
	whole, err := os.ReadFile(encrypted(t, cheap...))
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string][]int{"first": {5000}, "first's beginning": {0}, "second": {20000}, "both": {5000, 20000}} {
		b := bytes.Clone(whole)
		for _, n := range at {
			b[n] ^= 1
		}
		h, err := luks.Read(bytes.NewReader(b))
		if len(at) == 2 {
			if !errors.Is(err, luks.ErrNoHeader) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := h.Unlock(t.Context(), bytes.NewReader(b), luks.Try{Passphrase: []byte(secret), Memory: 1 << 20}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A derivation that takes longer than there is time is not waited for.
func TestUnlockEndsWithItsContext(t *testing.T) {
	need.Program(t, "cryptsetup")
	f, err := os.Open(encrypted(t, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "300000"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := luks.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := h.Unlock(ctx, f, luks.Try{Passphrase: []byte(secret)}); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// sealed is a LUKS2 header with a checksum over whatever its JSON is.
func sealed(text string) []byte {
	b := make([]byte, 16<<10)
	copy(b, "LUKS\xba\xbe\x00\x02")
	binary.BigEndian.PutUint64(b[8:], uint64(len(b)))
	copy(b[72:], "sha256")
	copy(b[168:], "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a")
	copy(b[4096:len(b)-1], text)
	sum := sha256.Sum256(b)
	copy(b[448:], sum[:])
	return b
}

// textOf is the JSON of a header that cryptsetup has written.
func textOf(t testing.TB, file string) string {
	t.Helper()
	out, err := exec.Command("cryptsetup", "luksDump", "--dump-json-metadata", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What is not known is refused, with a word of what it is.
func TestRefused(t *testing.T) {
	need.Program(t, "cryptsetup")
	_, err := unlock(t, encrypted(t, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--hash", "whirlpool"), luks.Try{Passphrase: []byte(secret)})
	if err == nil || !strings.Contains(err.Error(), "whirlpool") {
		t.Errorf("whirlpool: %v", err)
	}
	text := textOf(t, encrypted(t, cheap...))
	if _, err := luks.Read(bytes.NewReader(sealed(text))); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"encryption":"aes-xts-plain64",
      "sector_size"`, `"encryption":"serpent-xts-plain64","sector_size"`, "serpent"},
		{`"json_size"`, `"requirements":{"mandatory":["online-reencrypt-v2"]},"json_size"`, "reencrypt"},
		{`"iv_tweak"`, `"integrity":{"type":"hmac(sha256)"},"iv_tweak"`, "authenticated"},
		{`"sector_size":4096`, `"sector_size":4095`, "4095"},
		{`"offset":"16777216"`, `"offset":"-512"`, "-512"},
		{`"memory":64`, `"memory":8388608`, "8388608"},
		{`"time":4`, `"time":0`, "0 times"},
		{`"type":"crypt"`, `"type":"linear"`, "linear"},
		{`"stripes":4000`, `"stripes":400000`, "400000"},
		{`"segments":{`, `"segments":{"1":{},`, "more than one segment"},
		{`{`, `[`, "JSON"},
	} {
		changed := strings.Replace(text, c.from, c.to, 1)
		if changed == text {
			t.Errorf("there is no %s in %s", c.from, text)
		}
		if _, err := luks.Read(bytes.NewReader(sealed(changed))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
}

// Whatever stands at the head of a disk, what is read of it is within bounds.
func FuzzRead(f *testing.F) {
	b, err := os.ReadFile(encrypted(f, "--type", "luks1", "--pbkdf-force-iterations", "1000"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:1024], false)
	f.Add([]byte(textOf(f, encrypted(f, cheap...))), true)
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		if json {
			data = sealed(string(data))
		}
		h, err := luks.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(h.UUID) != 36 || strings.ContainsAny(h.Data.Cipher, " \n") || h.Data.Offset < 0 || h.Data.Sector < 512 {
			t.Errorf("%+v", h)
		}
		// no memory for a key is asked for that the disk says, only what is allowed
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if key, err := h.Unlock(ctx, bytes.NewReader(data), luks.Try{Memory: 1 << 20}); err == nil {
			t.Errorf("it is opened by nothing: %x", key)
		}
	})
}

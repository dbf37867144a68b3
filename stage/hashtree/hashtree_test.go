package hashtree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// made makes a file of so many blocks and its tree.
func made(t *testing.T, blocks int) (data, tree, root string) {
	t.Helper()
	content := make([]byte, blocks*Block)
	random := rand.NewChaCha8([32]byte{byte(blocks)})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data, tree = filepath.Join(dir, "data"), filepath.Join(dir, "tree")
	if err := os.WriteFile(data, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := fmt.Sprintf("%x", sha256.Sum256(content))
	sum, root, err := Write(t.Context(), f, bytes.NewReader(content), int64(len(content)), name)
	if err != nil || sum != name {
		t.Fatal(sum, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != Size(int64(len(content))) {
		t.Errorf("the tree of %d blocks has %d bytes, not %d (%v)", blocks, info.Size(), Size(int64(len(content))), err)
	}
	return data, tree, root
}

func veritysetup(args ...string) (string, error) {
	out, err := exec.Command("veritysetup", args...).CombinedOutput()
	return string(out), err
}

// veritysetup makes the same tree of the same file, and verifies ours; a byte
// that changes anywhere in the file or the tree fails it.
func TestVeritysetupAgrees(t *testing.T) {
	need.Programs(t, "veritysetup")
	for _, blocks := range []int{1, 2, 127, 128, 129, 128 * 128, 128*128 + 1} {
		data, tree, root := made(t, blocks)
		theirs := filepath.Join(t.TempDir(), "theirs")
		ours, err := os.ReadFile(tree)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("%x", ours[16:32])
		uuid := strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
		out, err := veritysetup("format", data, theirs, "--salt=-", "--uuid="+uuid, "--hash=sha256")
		if err != nil || !strings.Contains(out, root) {
			t.Fatalf("%d blocks: the root is not %s: %v\n%s", blocks, root, err, out)
		}
		if made, err := os.ReadFile(theirs); err != nil || !bytes.Equal(made, ours) {
			t.Errorf("%d blocks: theirs has %d bytes, ours %d, and they differ (%v)", blocks, len(made), len(ours), err)
		}
		if out, err := veritysetup("verify", data, tree, root); err != nil {
			t.Errorf("%d blocks: %v\n%s", blocks, err, out)
		}
		flip(t, data, int64(blocks*Block-1))
		if out, err := veritysetup("verify", data, tree, root); err == nil {
			t.Errorf("%d blocks: a changed byte is not found\n%s", blocks, out)
		}
	}
}

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func TestWriteRefuses(t *testing.T) {
	name := strings.Repeat("0", 64)
	for what, c := range map[string]struct {
		size  int64
		given int
		name  string
	}{
		"nothing":      {0, 0, name},
		"half a block": {Block + 1, Block + 1, name},
		"too little":   {2 * Block, Block, name},
		"no name":      {Block, Block, "x"},
	} {
		if _, _, err := Write(t.Context(), nowhere{}, bytes.NewReader(make([]byte, c.given)), c.size, c.name); err == nil {
			t.Errorf("%s: a tree is made", what)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := Write(ended, nowhere{}, bytes.NewReader(make([]byte, Block)), Block, name); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := Write(b.Context(), nowhere{}, bytes.NewReader(data), int64(len(data)), strings.Repeat("0", 64)); err != nil {
			b.Fatal(err)
		}
	}
}

package pack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/attack"
	"github.com/gitboot/gitboot/reconciler/source/pack/delta"
)

const someCommit = "tree 1111111111111111111111111111111111111111\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"

// TestAttacks receives what is refused at once. Packs that take long to refuse
// are received, and measured, in a process of their own.
func TestAttacks(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"huge commit":   {attack.Zero(someCommit, attack.Commit, maxCommit+1), "a commit of 1 MiB"},
		"huge tag":      {attack.Zero(someCommit, attack.Tag, maxCommit+1), "a tag of 1 MiB"},
		"huge tree":     {attack.Zero(someCommit, attack.Tree, maxTree+1), "a tree of 16 MiB"},
		"no such count": {attack.Start().Claiming(1<<32 - 1), "4294967295 objects"},
		"fewer":         {attack.Zero(someCommit, attack.Blob, 3)[:40], "cut short"},
	} {
		_, _, err := receive(t, c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestMeter(t *testing.T) {
	m := &meter{from: 10}
	if err := cmp.Or(m.add(freeWork), m.add(10*workRate)); err != nil {
		t.Error(err)
	}
	if err := m.add(1); err == nil {
		t.Error("more than what is allowed was done")
	}
}

// TestRecent keeps objects without content as bases, which take memory, too.
func TestRecent(t *testing.T) {
	var r recent
	for at := range int64(1 << 20) {
		r.put(nil, at, unpacked{})
	}
	if kept := len(r.young) + len(r.old); kept > 2*maxRecent/recentCost+2 {
		t.Errorf("%d objects are kept", kept)
	}
}

// TestLarge resolves objects that are put together in a file, beside ones in
// memory, and differences from one to the other.
func TestLarge(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "-b", "main")
	data := make([]byte, delta.MaxNear+delta.MaxNear/4)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for i := range 4 {
		data[i*4096]++
		for name, size := range map[string]int{"large": len(data), "small": delta.MaxNear / 2} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(name, i)), data[:size], 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	indexedAsByGit(t, dir, 10, 2*len(data))
}

// TestTipIsJudgedFirst receives a commit in the ways in which a pack can hold
// it. Nothing that follows is looked at if it is refused.
func TestTipIsJudgedFirst(t *testing.T) {
	last := someCommit + "y\n"
	whole := attack.Start()
	whole.Text(attack.Commit, last)
	whole.WriteString("what follows is never read")
	delta := attack.Start()
	delta.Delta(delta.Text(attack.Commit, someCommit), appended(someCommit, "y\n"))
	delta.Delta(delta.Text(attack.Blob, "x"), []byte("this fits no base"))
	name := plumbing.ComputeHash(plumbing.CommitObject, []byte(last))
	refused := errors.New("refused")
	for kind, data := range map[string][]byte{"whole": whole.Claiming(5), "delta": delta.End()} {
		tip := &Tip{Name: name, Judge: func(commit []byte) error {
			if string(commit) != last {
				t.Errorf("%s: judged: %q", kind, commit)
			}
			return refused
		}}
		if _, err := Receive(context.Background(), bytes.NewReader(data), scratchFile(t), scratchFile(t), tip); !errors.Is(err, refused) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for kind, data := range map[string][]byte{
		"absent": attack.Zero(someCommit, attack.Blob, 3),
		"a blob": func() []byte { p := attack.Start(); p.Text(attack.Blob, "x"); return p.End() }(),
	} {
		tip := &Tip{Name: plumbing.ComputeHash(plumbing.BlobObject, []byte("x")), Judge: func([]byte) error { return nil }}
		if _, err := Receive(context.Background(), bytes.NewReader(data), scratchFile(t), scratchFile(t), tip); err == nil {
			t.Errorf("%s: accepted", kind)
		}
	}
}

// appended is a difference that adds less than 128 bytes to its base's end.
func appended(base, more string) []byte {
	delta := attack.Repeat(int64(len(base)), int64(len(base)))
	_, n := binary.Uvarint(delta)
	_, m := binary.Uvarint(delta[n:])
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(base))), uint64(len(base)+len(more)))
	return slices.Concat(head, delta[n+m:], []byte{byte(len(more))}, []byte(more))
}

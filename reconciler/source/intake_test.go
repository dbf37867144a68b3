package source

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/reconciler/source/pack/attack"
)

// noise writes a file that nothing makes smaller.
func (r *repo) noise(name string, size int) {
	r.t.Helper()
	data := make([]byte, size)
	rand.Read(data)
	r.write(name, string(data))
}

// usedBelow adds up the files of a folder, and lists them.
func usedBelow(t *testing.T, dir string) (sum int64, names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum, names = sum+info.Size(), append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum, names
}

// TestRefusedRevisionsLeaveNothing polls a branch that gets a new commit each
// time which is not to be believed, with a file that nothing compresses.
func TestRefusedRevisionsLeaveNothing(t *testing.T) {
	key, pub := newKey(t, "ada")
	r := newRepo(t)
	r.commit("a", "1")
	for name, o := range map[string]Options{"path": r.options(), "https": newHTTPSServer(t, r).options(t, r)} {
		t.Run(name, func(t *testing.T) {
			r.signing(key)
			signed := r.commit("a", name, "-S")
			o.TrustedKeys = trusting(t, "", pub)
			open(t, o).mustFetch(t, "")
			before, files := usedBelow(t, o.Dir)
			for range 25 {
				r.git("reset", "-q", "--hard", signed)
				r.noise("noise", 1<<17)
				r.commitAll("not signed", "--no-gpg-sign")
				var untrusted *UntrustedError
				if _, err := open(t, o).Fetch(context.Background(), signed); !errors.As(err, &untrusted) {
					t.Fatal(err)
				}
			}
			after, now := usedBelow(t, o.Dir)
			if after != before || len(now) != len(files) {
				t.Errorf("the clone grew from %d to %d bytes: %q", before, after, now)
			}
			r.git("reset", "-q", "--hard", signed)
		})
	}
}

// TestRewrittenLeavesNothing polls another history, where no keys are trusted.
func TestRewrittenLeavesNothing(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	o := r.options()
	open(t, o).mustFetch(t, "")
	before, _ := usedBelow(t, o.Dir)
	for range 3 {
		r.git("checkout", "-q", "--orphan", fmt.Sprint("other", time.Now().UnixNano()))
		r.noise("noise", 1<<20)
		r.git("branch", "-f", "main", r.commitAll("another history"))
		o.Ref = "refs/heads/main"
		var rewritten *RewrittenError
		if _, err := open(t, o).Fetch(context.Background(), first); !errors.As(err, &rewritten) {
			t.Fatal(err)
		}
	}
	if after, names := usedBelow(t, o.Dir); after != before {
		t.Errorf("the clone grew from %d to %d bytes: %q", before, after, names)
	}
}

// TestQuarantineIsCleaned opens a clone in which a cut left something, and one
// in which a fetch is going on.
func TestQuarantineIsCleaned(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	o := r.options()
	open(t, o).mustFetch(t, "")
	s := open(t, o)
	unlock, err := s.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.clone.Intake(unlock)
	if err != nil {
		t.Fatal(err)
	}
	open(t, o)
	if _, err := os.Stat(in.Dir()); err != nil {
		t.Errorf("what is being fetched was removed: %v", err)
	}
	unlock()
	open(t, o)
	if _, err := os.Stat(in.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a cut left is there: %v", err)
	}
}

// TestNothingNewStartsNothing counts the processes that a fetch has waited for.
func TestNothingNewStartsNothing(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	o := r.options()
	children := func() int64 {
		var use unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &use); err != nil {
			t.Fatal(err)
		}
		return use.Minflt
	}
	at := []int64{children()}
	for range 3 {
		open(t, o).mustFetch(t, "")
		at = append(at, children())
	}
	if at[1] == at[0] || at[2] != at[1] || at[3] != at[2] {
		t.Errorf("page faults of child processes, after each of three fetches: %d", at)
	}
}

// hostile answers each request for a pack with one of its own, for a tip of
// its own.
func hostile(t *testing.T, tip plumbing.Hash, pack func(w http.ResponseWriter)) Options {
	t.Helper()
	r := newRepo(t)
	server := newHTTPSServer(t, r)
	server.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPost {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			fmt.Fprint(w, "0008NAK\n")
			pack(w)
			return true
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		fmt.Fprint(w, "001e# service=git-upload-pack\n0000")
		line := tip.String() + " HEAD\x00side-band-64k\n"
		fmt.Fprintf(w, "%04x%s0000", len(line)+4, line)
		return true
	}
	return server.options(t, r)
}

const someCommit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"

// sending answers by a pack.
func sending(data []byte) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for part := range slices.Chunk(data, 60_000) {
			io.WriteString(w, pktLine("\x01"+string(part)))
		}
		io.WriteString(w, "0000")
	}
}

// TestHostilePacks fetches what package quarantine measures, by way of a
// server: it is refused for what it is, and nothing of it stays.
func TestHostilePacks(t *testing.T) {
	wide, wideData := attack.Forest(40, 2)
	deep, deepData := attack.Forest(600, 1)
	tag, tagData := attack.Tags(someCommit, 100)
	for want, c := range map[string]struct {
		tip  string
		data []byte
	}{
		"4294967295 objects":      {someCommit, attack.Start().Claiming(1<<32 - 1)},
		"a commit of 2 MiB":       {someCommit, attack.Zero(someCommit, attack.Commit, 2<<20)},
		"a tag of 2 MiB":          {someCommit, attack.Zero(someCommit, attack.Tag, 2<<20)},
		"a tree of 17 MiB":        {someCommit, attack.Zero(someCommit, attack.Tree, 17<<20)},
		"the commit that was":     {someCommit + "y", attack.Zero(someCommit, attack.Blob, 10)},
		"object not found":        {someCommit, attack.Zero(someCommit, attack.Blob, 10)},
		"put together":            {someCommit, attack.Doubling(someCommit, 40)},
		"not signed":              {someCommit, attack.Zero(someCommit, attack.Blob, 64<<20)[:1<<15]},
		"more than 1048576 files": {wide, wideData},
		"more than 500 deep":      {deep, deepData},
		"is a tag, not a commit":  {tag, tagData},
	} {
		t.Run(want, func(t *testing.T) {
			kind := plumbing.CommitObject
			if strings.HasPrefix(c.tip, "object") {
				kind = plumbing.TagObject
			}
			o := hostile(t, plumbing.ComputeHash(kind, []byte(c.tip)), sending(c.data))
			if want == "not signed" {
				_, pub := newKey(t, "ada")
				o.TrustedKeys = trusting(t, "", pub)
			}
			_, err := open(t, o).Fetch(context.Background(), "")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			if used, names := usedBelow(t, o.Dir); used > 1<<10 {
				t.Errorf("%d bytes stay: %q", used, names)
			}
		})
	}
}

// TestSmallFromLarge reads a small file that is put together from a large one.
func TestSmallFromLarge(t *testing.T) {
	for want, size := range map[string]int64{"": 20 << 20, "stored as a difference from one of 400 MiB": 400 << 20} {
		commit, data := attack.Hidden("file", 1000, size)
		hash := plumbing.ComputeHash(plumbing.CommitObject, []byte(commit))
		o := hostile(t, hash, sending(data))
		s := open(t, o)
		s.mustFetch(t, "")
		files, err := s.Files(hash.String(), "")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := fs.Stat(files, "file"); err != nil || info.Size() != 1000 {
			t.Errorf("%v, %v", info, err)
		}
		before := obtained()
		_, err = fs.ReadFile(files, "file")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
		if grown := obtained() - before; grown > 100<<20 {
			t.Errorf("%d MiB of memory", grown>>20)
		}
	}
}

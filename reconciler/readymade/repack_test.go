package readymade

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gitboot/gitboot/image/cosign"
)

// small is the length of files of which a block of ends has four.
const small = 30_000

// smallTar is a layer of a large file and a hundred small ones. One more may come before them, so that all
// are in other blocks, and files of numbers may be other ones.
func smallTar(t *testing.T, more bool, changed ...int) []byte {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	add := func(name string, seed uint64, size int) {
		r, content := rand.New(rand.NewPCG(seed, 3)), make([]byte, size)
		for i := range content {
			content[i] = byte(r.Uint32() & 0x3f)
		}
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)}))
		_, err := w.Write(content)
		must(t, err)
	}
	add("usr/large", 999, 1<<20)
	if more {
		add("usr/before", 1000, small)
	}
	for n := range 100 {
		seed := uint64(n)
		for _, c := range changed {
			if c == n {
				seed += 2000
			}
		}
		add(fmt.Sprintf("usr/%02d", n), seed, small)
	}
	must(t, w.Close())
	return data.Bytes()
}

func (s *shelf) publishTar(t *testing.T, repository string, signer *cosign.Signer, content []byte) (ref string) {
	t.Helper()
	ref = s.pushTar(t, repository, content)
	_, err := Publisher{Options: options(), Scratch: t.TempDir(), Key: signer}.PublishRef(t.Context(), ref)
	must(t, err)
	return ref
}

// Blocks in which unchanged ends of files lie together otherwise are not fetched, but those
// with an end that changed are; and nothing that is wrong comes of older objects.
func TestRepacked(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishTar(t, "desktop:1", signer, smallTar(t, false))
	for what, c := range map[string]struct {
		tar    []byte
		damage bool
		// most is how many bytes are sent at most, of two and a half million.
		most int64
	}{
		"all moved":                      {smallTar(t, true), false, 250_000},
		"some are other ones":            {smallTar(t, true, 20, 21, 50), false, 550_000},
		"the older object is damaged":    {smallTar(t, true), true, 700_000},
		"all are other ones of a length": {smallTar(t, true, numbers(100)...), false, 3_000_000},
	} {
		t.Run(what, func(t *testing.T) {
			s.before(nil)
			second := s.publishTar(t, strings.ReplaceAll(what, " ", "-"), signer, c.tar)
			want, _ := newFollower(t, trust).follow(t, second)
			f := newFollower(t, trust)
			old, _ := f.follow(t, first)
			if c.damage {
				damage(t, f.ObjectPath(old))
			}
			sent := s.metered(asItIs)
			got, promised := f.follow(t, second, old)
			if got != want || promised == 0 || f.fetched.Blocks != 1 {
				t.Errorf("became %v, want %v; fetched %+v", got, want, f.fetched)
			}
			if sent.Load() > c.most+documents {
				t.Errorf("%d bytes were sent, %d promised; %s", sent.Load(), promised, &f.log)
			}
			if told := f.fetched.Bytes; sent.Load() < told || !c.damage && sent.Load() > told+documents {
				t.Errorf("%d bytes were sent, and %d are told", sent.Load(), told)
			}
			if left, err := os.ReadDir(f.Temp()); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

func numbers(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// damage changes bytes in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	for i := range 1000 {
		data[len(data)/2+i] ^= 1
	}
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, data, 0o600))
}

// A block that two files have is fetched once.
func TestBlockTwice(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishFiles(t, "desktop:1", signer)
	const block = 128 << 10
	noise := func(seed uint64) []byte {
		r, b := rand.New(rand.NewPCG(seed, 4)), make([]byte, block)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for n := range uint64(3) {
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprint("new/", n), Mode: 0o644, Size: 2 * block}))
		_, err := w.Write(append(noise(100), noise(n)...))
		must(t, err)
	}
	must(t, w.Close())
	second := s.publishTar(t, "desktop:2", signer, append(withoutEnd(filesTar(t)), data.Bytes()...))
	want, _ := newFollower(t, trust).follow(t, second)
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	sent := s.metered(asItIs)
	got, promised := f.follow(t, second, old)
	if got != want || sent.Load() > promised+documents || promised < 4*block || promised > 4*block+100_000 {
		t.Errorf("became %v, want %v; %d promised, %d sent; %s", got, want, promised, sent.Load(), &f.log)
	}
}

// withoutEnd is a tar that another may follow.
func withoutEnd(tar []byte) []byte { return tar[:len(tar)-1024] }

// Where the object's tables cannot be had, or are wrong, the object is fetched whole; where
// that was once, they are asked for again.
func TestTablesFaults(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first, second := s.publishTar(t, "desktop:1", signer, smallTar(t, false)), s.publishTar(t, "desktop:2", signer, smallTar(t, true))
	want, _ := newFollower(t, trust).follow(t, second)
	for what, c := range map[string]struct {
		// until is how many answers for a part are spoiled.
		until  int32
		blocks int
	}{"once": {1, 1}, "always": {1 << 20, 0}} {
		t.Run(what, func(t *testing.T) {
			s.before(nil)
			f := newFollower(t, trust)
			old, _ := f.follow(t, first)
			var asked atomic.Int32
			s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Header.Get("Range") != "" && asked.Add(1) <= c.until {
					w = &twisted{w}
				}
				next.ServeHTTP(w, r)
			})
			got, promised := f.follow(t, second, old)
			if got != want || promised == 0 || f.fetched.Blocks != c.blocks {
				t.Errorf("became %v, want %v; fetched %+v; %s", got, want, f.fetched, &f.log)
			}
			if left, err := os.ReadDir(f.Temp()); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

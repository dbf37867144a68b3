// Package attack makes packs that no honest server sends, for tests. Each
// begins with a commit, so that it may be the answer to who asks for that.
package attack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Types of objects, as entries name them.
const (
	Commit = 1
	Tree   = 2
	Blob   = 3
	Tag    = 4
	offset = 6
	named  = 7
)

// A Pack is written entry by entry.
type Pack struct {
	bytes.Buffer
	count uint32
	zlib  *zlib.Writer
}

// Zeros is an endless content.
type Zeros struct{}

func (Zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Start begins a pack. Its count is corrected at the end.
func Start() *Pack {
	p := &Pack{zlib: zlib.NewWriter(nil)}
	p.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	return p
}

// Object adds one, and returns where it begins.
func (p *Pack) Object(kind byte, size int64, content io.Reader) (at int) {
	at = p.Len()
	p.head(kind, size)
	p.deflate(io.LimitReader(content, size))
	return at
}

// Text adds an object whose content is given.
func (p *Pack) Text(kind byte, content string) (at int) {
	return p.Object(kind, int64(len(content)), bytes.NewReader([]byte(content)))
}

// Delta adds a difference from the object at an offset.
func (p *Pack) Delta(base int, delta []byte) (at int) {
	at = p.Len()
	p.head(offset, int64(len(delta)))
	back := at - base
	distance := []byte{byte(back & 0x7f)}
	for back >>= 7; back > 0; back >>= 7 {
		back--
		distance = append([]byte{byte(back&0x7f) | 0x80}, distance...)
	}
	p.Write(distance)
	p.deflate(bytes.NewReader(delta))
	return at
}

// Named adds a difference from the object of a name.
func (p *Pack) Named(base string, delta []byte) {
	p.head(named, int64(len(delta)))
	p.WriteString(base)
	p.deflate(bytes.NewReader(delta))
}

func (p *Pack) head(kind byte, size int64) {
	p.count++
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	p.WriteByte(b)
}

func (p *Pack) deflate(r io.Reader) {
	p.zlib.Reset(p)
	io.Copy(p.zlib, r)
	p.zlib.Close()
}

// End gives the pack, with its sum.
func (p *Pack) End() []byte { return p.Claiming(p.count) }

// Claiming gives a pack that says it has so many entries.
func (p *Pack) Claiming(count uint32) []byte {
	data := bytes.Clone(p.Bytes())
	binary.BigEndian.PutUint32(data[8:], count)
	sum := sha1.Sum(data)
	return append(data, sum[:]...)
}

// Repeat is a difference that puts the base, of a given size, one after the
// other until there is as much as is wanted.
func Repeat(base, want int64) []byte {
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(base)), uint64(want))
	for want > 0 {
		n := min(want, base, 1<<24-1)
		delta = append(delta, 0x80|0x70, byte(n), byte(n>>8), byte(n>>16))
		want -= n
	}
	return delta
}

// Doubling is a chain of differences, each twice as large as the one before.
func Doubling(commit string, times int) []byte {
	p := Start()
	p.Text(Commit, commit)
	at, size := p.Text(Blob, "x"), int64(1)
	for range times {
		at, size = p.Delta(at, Repeat(size, 2*size)), 2*size
	}
	return p.End()
}

// Many is as many large objects, each a few bytes that differ from one.
func Many(commit string, n int, size int64) []byte {
	p := Start()
	p.Text(Commit, commit)
	at := p.Object(Blob, min(size, 1<<20), Zeros{})
	for i := range n {
		p.Delta(at, Repeat(min(size, 1<<20), size+int64(i)))
	}
	return p.End()
}

// Zero is one object of zeros, and a difference from it.
func Zero(commit string, kind byte, size int64) []byte {
	p := Start()
	p.Text(Commit, commit)
	at := p.Object(kind, size, Zeros{})
	p.Delta(at, Repeat(size, 3))
	return p.End()
}

// Fine is a difference of single bytes from a large base, each of which must
// be looked up.
func Fine(commit string, base, n int64) []byte {
	p := Start()
	p.Text(Commit, commit)
	at := p.Object(Blob, base, Zeros{})
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(base)), uint64(n))
	p.Delta(at, append(delta, bytes.Repeat([]byte{0x90, 1}, int(n))...))
	return p.End()
}

// Ladder is a chain of n differences, of each of which two are made, so that
// who forgets what came before begins anew again and again.
func Ladder(commit string, n int, size int64) []byte {
	p := Start()
	p.Text(Commit, commit)
	at := p.Object(Blob, size, Zeros{})
	for range n {
		p.Delta(at, Repeat(size, size-1))
		at = p.Delta(at, Repeat(size, size))
	}
	return p.End()
}

// Climb is a chain of n differences of a few bytes, of each of which two are
// made, and at its end what is so large that the chain is let go meanwhile: on
// the way back each is put together from the first on.
func Climb(commit string, n int) []byte {
	p := Start()
	p.Text(Commit, commit)
	at, size := p.Text(Blob, "x"), int64(1)
	for range n {
		p.Delta(at, Repeat(1, 1))
		at = p.Delta(at, Repeat(1, 1))
	}
	for ; size < 16<<20; size *= 2 {
		at = p.Delta(at, Repeat(size, 2*size))
	}
	for range 3 {
		p.Delta(at, Repeat(size, 1))
		at = p.Delta(at, Repeat(size, size))
	}
	return p.End()
}

// Twins is the same object n times, and as many differences that name it.
func Twins(commit string, n int) []byte {
	p := Start()
	p.Text(Commit, commit)
	for _, add := range []func(){func() { p.Text(Blob, "x") }, func() { p.Named(name("blob", "x"), Repeat(1, 1)) }} {
		at := p.Len()
		add()
		p.Write(bytes.Repeat(p.Bytes()[at:], n-1))
		p.count += uint32(n - 1)
	}
	return p.End()
}

// Tiny is as many objects of a few bytes each.
func Tiny(commit string, n int) []byte {
	p := Start()
	p.Text(Commit, commit)
	for i := range n {
		p.Text(Blob, strconv.Itoa(i))
	}
	return p.End()
}

// Forest is a commit whose folder names the same one as often as wide says,
// which does so itself, and so on.
func Forest(deep, wide int) (commit string, data []byte) {
	p := Start()
	content := "100644 file\x00" + name("blob", "")
	trees := []string{content}
	for range deep {
		below := name("tree", content)
		content = ""
		for i := range wide {
			content += fmt.Sprintf("40000 %03d\x00%s", i, below)
		}
		trees = append(trees, content)
	}
	commit = fmt.Sprintf("tree %x\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n", name("tree", content))
	p.Text(Commit, commit)
	p.Text(Blob, "")
	for _, tree := range trees {
		p.Text(Tree, tree)
	}
	return commit, p.End()
}

// Tags is a chain of tags, each of the one before.
func Tags(commit string, n int) (last string, data []byte) {
	p := Start()
	p.Text(Commit, commit)
	kind, last := "commit", commit
	for i := range n {
		last = fmt.Sprintf("object %x\ntype %s\ntag %d\ntagger A <a@b> 1 +0000\n\nx\n", name(kind, last), kind, i)
		kind = "tag"
		p.Text(Tag, last)
	}
	return last, p.End()
}

func name(kind, content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content))
	return string(sum[:])
}

// Hidden is a commit with one file, of n spaces, which is stored as a
// difference from size zeros.
func Hidden(file string, n, size int64) (commit string, data []byte) {
	p := Start()
	content := strings.Repeat(" ", int(n))
	tree := "100644 " + file + "\x00" + name("blob", content)
	commit = fmt.Sprintf("tree %x\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n", name("tree", tree))
	p.Text(Commit, commit)
	p.Text(Tree, tree)
	at := p.Object(Blob, size, Zeros{})
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(size)), uint64(n))
	for part := range slices.Chunk([]byte(content), 127) {
		delta = append(append(delta, byte(len(part))), part...)
	}
	p.Delta(at, delta)
	return commit, p.End()
}

package chunked

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxEntries bounds how many files and pieces of them a table has.
	maxEntries = 1 << 20
	// maxValue bounds one value of a table: a file's entry has some hundred bytes.
	maxValue = 1 << 20
	// window bounds what a section's decoder allocates.
	window = 8 << 20
)

// A Digest is a sha256.
type Digest [sha256.Size]byte

func parseDigest(s string) (d Digest, err error) {
	text, ok := strings.CutPrefix(s, "sha256:")
	if n, err := hex.Decode(d[:], []byte(text[:min(len(text), 2*len(d))])); !ok || err != nil || n != len(d) || len(text) != 2*len(d) {
		return d, errors.New("a digest is sha256: and 64 hex digits")
	}
	return d, nil
}

// String is "sha256:<hex>".
func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// A File is a regular file that is not empty.
type File struct {
	Name   string
	Size   int64
	Chunks []Chunk
}

// A Chunk is a part of a file: the blob has it compressed by itself from Offset up to
// End, and it has Size bytes.
type Chunk struct {
	Digest            Digest
	Offset, End, Size int64
}

// An entry is one object of the table: a file's, or a further chunk of it.
type entry struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Size        int64  `json:"size"`
	Digest      string `json:"digest"`
	Offset      int64  `json:"offset"`
	EndOffset   int64  `json:"endOffset"`
	ChunkSize   int64  `json:"chunkSize"`
	ChunkOffset int64  `json:"chunkOffset"`
	ChunkDigest string `json:"chunkDigest"`
}

const (
	regular = "reg"
	further = "chunk"
)

// Read reads a table of contents as it lies in the blob, gives each file, and returns the
// digest of what tar-split has kept, as it lies there.
func Read(packed []byte, each func(File) error) (tarSplit string, err error) {
	r, err := Decompress(packed, maxTable)
	if err != nil {
		return "", err
	}
	defer r.Close()
	return readTable(r, each)
}

func readTable(r io.Reader, each func(File) error) (tarSplit string, err error) {
	in := &portions{Reader: r}
	t := table{in: in, d: json.NewDecoder(in), each: each}
	if err := t.read(); err != nil {
		return "", fmt.Errorf("table of contents: %w", err)
	}
	return t.tarSplit, nil
}

// A portions reader gives no more than maxValue bytes until it is told that what came of
// them is taken: a JSON decoder holds a value in memory until it ends.
type portions struct {
	io.Reader
	given int
}

func (p *portions) Read(b []byte) (int, error) {
	if p.given >= maxValue {
		return 0, fmt.Errorf("a value of more than %d bytes", maxValue)
	}
	n, err := p.Reader.Read(b[:min(len(b), maxValue-p.given)])
	p.given += n
	return n, err
}

// Decompress decompresses a section. It gives no more than limit bytes.
func Decompress(packed []byte, limit int64) (io.ReadCloser, error) {
	d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, err
	}
	return &unpacked{io.LimitReader(d, limit), d}, nil
}

type unpacked struct {
	io.Reader
	d *zstd.Decoder
}

func (s *unpacked) Close() error {
	s.d.Close()
	return nil
}

// A table is one that is being read.
type table struct {
	in       *portions
	d        *json.Decoder
	each     func(File) error
	tarSplit string
	entries  int
	// file is that whose chunks may follow: had bytes are in those that came, and the last
	// one ends at end in the blob.
	file     *File
	had, end int64
}

func (t *table) read() error {
	if err := t.open('{'); err != nil {
		return err
	}
	version := 0
	for t.more() {
		key, err := t.d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "version":
			err = t.d.Decode(&version)
		case "tarSplitDigest":
			err = t.d.Decode(&t.tarSplit)
		case "entries":
			err = t.readEntries()
		default:
			err = t.d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	if version != 1 {
		return fmt.Errorf("version %d is not known", version)
	}
	_, err := parseDigest(t.tarSplit)
	return err
}

// more reports whether another value follows.
func (t *table) more() bool {
	t.in.given = 0
	return t.d.More()
}

func (t *table) open(what json.Delim) error {
	if at, err := t.d.Token(); err != nil {
		return err
	} else if at != what {
		return fmt.Errorf("%v where %v belongs", at, what)
	}
	return nil
}

func (t *table) readEntries() error {
	if err := t.open('['); err != nil {
		return err
	}
	for t.more() {
		if t.entries++; t.entries > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		var e entry
		if err := t.d.Decode(&e); err != nil {
			return err
		}
		if err := t.take(e); err != nil {
			return fmt.Errorf("entry %d: %w", t.entries, err)
		}
	}
	if _, err := t.d.Token(); err != nil {
		return err
	}
	return t.finish()
}

// take takes an entry for what it is: a new file, or a further chunk of the last.
func (t *table) take(e entry) error {
	if e.Type != further {
		if err := t.finish(); err != nil {
			return err
		}
		if e.Type != regular || e.Size == 0 {
			return nil
		}
		t.file, t.had, t.end = &File{Name: e.Name, Size: e.Size}, 0, e.EndOffset
		if e.ChunkDigest == "" {
			e.ChunkDigest, e.ChunkSize = e.Digest, e.Size
		}
	} else if t.file == nil || e.Name != t.file.Name {
		return errors.New("a chunk of no file")
	}
	digest, err := parseDigest(e.ChunkDigest)
	if err != nil {
		return err
	}
	if n := len(t.file.Chunks); n > 0 {
		t.file.Chunks[n-1].End = e.Offset
	}
	if e.ChunkOffset != t.had || e.ChunkSize <= 0 || e.ChunkSize > t.file.Size-t.had {
		return fmt.Errorf("%d bytes from %d on of %d, where %d are before", e.ChunkSize, e.ChunkOffset, t.file.Size, t.had)
	}
	t.had += e.ChunkSize
	t.file.Chunks = append(t.file.Chunks, Chunk{Digest: digest, Offset: e.Offset, Size: e.ChunkSize})
	return nil
}

// finish gives the file whose last chunk has come.
func (t *table) finish() error {
	f := t.file
	if t.file = nil; f == nil {
		return nil
	}
	f.Chunks[len(f.Chunks)-1].End = t.end
	if t.had != f.Size {
		return fmt.Errorf("chunks of %d bytes of a file of %d", t.had, f.Size)
	}
	for _, c := range f.Chunks {
		if c.Offset <= 0 || c.End <= c.Offset {
			return fmt.Errorf("a chunk from %d to %d", c.Offset, c.End)
		}
	}
	return t.each(*f)
}

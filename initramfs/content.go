package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/gitboot/gitboot/rootfs"
)

// roomForModules is how many bytes of modules stay in memory, expanded, between being
// looked at and being written: what a kernel for virtual machines has.
const roomForModules = 16 << 20

// fetch returns a module's file, expanded. Those of a generic kernel together are more
// than all else that a run needs memory for: where they have no room they are read from
// the layer again when they are written, but for xz, which is slow to expand: those are
// kept in a form that is not.
func (s *moduleSet) fetch(m *module) ([]byte, error) {
	data, err := s.again(m)
	if err != nil {
		return nil, err
	}
	m.size = int64(len(data))
	if path.Ext(m.node.Path) == ".xz" {
		packed := bytes.Clone(s2.Encode(nil, data))
		m.write = func(w io.Writer) error {
			data, err := s2.Decode(nil, packed)
			return writeAll(w, data, err)
		}
		return data, nil
	}
	s.keep(m, data)
	m.write = func(w io.Writer) error {
		if m.kept != nil {
			return writeAll(w, m.kept, nil)
		}
		data, err := s.again(m)
		return writeAll(w, data, err)
	}
	return data, nil
}

// keep has a module's content stay in memory while all that is there has room. If it has
// not, nothing stays: a part would be memory for little.
func (s *moduleSet) keep(m *module, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inMemory += m.size; s.inMemory <= roomForModules {
		m.kept, s.kept = data, append(s.kept, m)
		return
	}
	for _, m := range s.kept {
		m.kept = nil
	}
	s.kept = nil
}

func (s *moduleSet) again(m *module) ([]byte, error) {
	raw, err := s.tree.Read(m.node)
	if err != nil {
		return nil, err
	}
	return expand(m.node.Path, raw)
}

func writeAll(w io.Writer, data []byte, err error) error {
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// expand undoes the compression that a file's name tells of.
func expand(name string, raw []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch path.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(bytes.NewReader(raw))
	case ".xz":
		r, err = xz.NewReader(bytes.NewReader(raw))
	case ".zst":
		var dec *zstd.Decoder
		if dec, err = zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20)); err == nil {
			defer dec.Close()
			r = dec
		}
	default:
		return raw, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, rootfs.MaxRead+1))
	if err == nil && len(out) > rootfs.MaxRead {
		err = fmt.Errorf("more than %d bytes", int64(rootfs.MaxRead))
	}
	return out, err
}

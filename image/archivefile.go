package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// openFile tells what a file is and opens it as an image. The file is checked
// against check, when that is set; known is its digest when it is certain.
func openFile(ctx context.Context, f archiveFile, check, known v1.Hash, strip int, opts Options) (*Image, error) {
	opts.Expansion.file = f.size()
	index, err := scanTar(ctx, f, opts.Expansion)
	if err != nil {
		return nil, err
	}
	kind := index.kind()
	switch {
	case kind == rootFS && strip == 0 && index.within() != "":
		return nil, &UnsupportedError{"the archive", fmt.Sprintf("all that is in it lies below %s/, so that it has no /usr", index.within()), "set strip = 1 for it"}
	case kind == rootFS:
		return openRootFS(ctx, f, index.compressed, known, strip, opts)
	case strip > 0:
		return nil, errStrip
	}
	if check.Hex != "" {
		sum, err := f.digest(ctx)
		if err != nil {
			return nil, err
		}
		if sum != check {
			return nil, &DigestError{"the file", f.path, check.String(), sum.String()}
		}
	}
	if kind == ociLayout {
		return openLayout(ctx, layout{index.open, f.path}, opts)
	}
	return openDockerSave(ctx, index.open, f.path, opts)
}

// stream reads the file as it is stored.
func (f archiveFile) stream(ctx context.Context) (io.ReadCloser, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	return ctxio.ReadCloser(ctx, file), nil
}

// size is the file's length, 0 if it cannot be told.
func (f archiveFile) size() int64 {
	file, err := f.open()
	if err != nil {
		return 0
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		return info.Size()
	}
	return 0
}

func (f archiveFile) digest(ctx context.Context) (v1.Hash, error) {
	rc, err := f.stream(ctx)
	if err != nil {
		return v1.Hash{}, err
	}
	h := sha256.New()
	_, err = io.Copy(h, rc)
	return hashed(h), errors.Join(err, rc.Close())
}

func hashed(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// openRootFS makes an image of one layer of a tar. known, when set, is what
// the file's digest must be.
func openRootFS(ctx context.Context, f archiveFile, compressed bool, known v1.Hash, strip int, opts Options) (*Image, error) {
	sums, err := measure(ctx, f, compressed, strip, opts.Expansion)
	if err != nil {
		return nil, err
	}
	if known.Hex != "" && sums.file != known {
		return nil, &DigestError{"the file", f.path, known.String(), sums.file.String()}
	}
	blob := func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := f.stream(ctx)
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		return newVerifier(rc, sums.file, sums.size, "the file", func() string { return f.path }, nil), nil
	}
	layer := Layer{
		DiffID:   sums.tar.String(),
		Digest:   sums.file.String(),
		Size:     sums.size,
		blob:     blob,
		progress: opts.Progress,
		allowed:  fileDiet(),
		strip:    strip,

		expansion: opts.Expansion,
	}
	if strip > 0 { // the layer is another tar than the one in the file
		layer.Digest, layer.checkDiffID = "", true
		return &Image{Digest: layer.DiffID, Layers: []Layer{layer}}, nil
	}
	return &Image{Digest: layer.Digest, Layers: []Layer{layer}}, nil
}

// sums is what one pass over a tar tells.
type sums struct {
	file, tar v1.Hash
	size      int64
}

// measure hashes a file, and the tar that it gives when that is not the same.
func measure(ctx context.Context, f archiveFile, compressed bool, strip int, bounds Expansion) (sums, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rc, err := f.stream(ctx)
	if err != nil {
		return sums{}, err
	}
	raw := &hashingReader{ReadCloser: rc, hash: sha256.New()}
	in := newAhead(raw, cancel)
	defer in.Close()
	inner := sha256.New()
	if compressed || strip > 0 {
		if err := hashTar(inner, in, bounds, strip, cancel); err != nil {
			return sums{}, err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return sums{}, err
	}
	// The goroutine has seen the end, so nothing reads raw any more.
	out := sums{file: hashed(raw.hash), size: raw.n}
	if out.tar = out.file; compressed || strip > 0 {
		out.tar = hashed(inner)
	}
	return out, nil
}

// hashTar hashes the tar that a file gives.
func hashTar(w io.Writer, in io.Reader, bounds Expansion, strip int, cancel func()) error {
	d, err := bounds.open(in, fileDiet(), strip, "the archive", 0)
	if err != nil {
		return err
	}
	out := newAhead(d, cancel)
	_, err = io.Copy(w, out)
	err = errors.Join(err, out.Close())
	if unsupported := (*UnsupportedError)(nil); errors.As(err, &unsupported) {
		return unsupported
	}
	if large := (*ExpansionError)(nil); errors.As(err, &large) {
		return large
	}
	if err != nil {
		return fmt.Errorf("read the tar: %w; the archive is damaged, make or fetch it again", err)
	}
	return nil
}

type hashingReader struct {
	io.ReadCloser
	hash hash.Hash
	n    int64
}

func (r *hashingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.hash.Write(p[:n])
	r.n += int64(n)
	return n, err
}

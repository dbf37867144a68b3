package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/archive"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// An ArchivePlace is where an archive lies.
type ArchivePlace = archive.Place

// Fingerprint changes when an archive changes, and is cheap.
func Fingerprint(src ArchivePlace) (string, error) { return archive.Fingerprint(src) }

// PruneDownloads removes the archives in a CacheDir that have none of the sums;
// see archive.Prune.
func PruneDownloads(dir string, sums []string) (freed int64, err error) {
	return archive.Prune(dir, sums)
}

// OpenArchive opens an archive as an image; the package's doc lists which
// kinds there are. A tar of a root file system is read once in full, for its
// digests.
func OpenArchive(ctx context.Context, src ArchivePlace, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	img, err := openArchive(ctx, src, opts)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", src, err)
	}
	return img, nil
}

func openArchive(ctx context.Context, src ArchivePlace, opts Options) (*Image, error) {
	want, err := src.Digest()
	if err != nil {
		return nil, err
	}
	if src.URL != "" {
		path, err := archive.Download(ctx, src.URL, want, opts.archive())
		if err != nil {
			return nil, err
		}
		return openFile(ctx, archive.LocalFile(path), v1.Hash{}, want, src.Strip, opts)
	}
	info, err := src.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if want.Hex != "" {
			return nil, errors.New("a folder has no sha256; leave sha256 out, the files of an OCI layout are verified by their own")
		}
		if src.Strip > 0 {
			return nil, errStrip
		}
		return openLayoutFolder(ctx, src, opts)
	}
	f := archive.LocalFile(src.Path)
	if src.FS != nil {
		f = archive.File{Path: src.Path, Open: func() (fs.File, error) { return src.FS.Open(src.Path) }}
	}
	return openFile(ctx, f, want, want, src.Strip, opts)
}

var errStrip = errors.New("strip is for a tar of a root file system, and this is another archive; leave strip out")

// openFile tells what a file is and opens it as an image. The file is checked
// against check, when that is set; known is its digest when it is certain.
func openFile(ctx context.Context, f archive.File, check, known v1.Hash, strip int, opts Options) (*Image, error) {
	opts.Expansion.File = f.Size()
	index, err := archive.Scan(ctx, f, opts.Expansion)
	if err != nil {
		return nil, err
	}
	kind := index.Kind()
	switch {
	case kind == archive.RootFS && strip == 0 && index.Within() != "":
		return nil, &untrusted.UnsupportedError{What: "the archive", Reason: fmt.Sprintf("all that is in it lies below %s/, so that it has no /usr", index.Within()), Remedy: "set strip = 1 for it"}
	case kind == archive.RootFS:
		return openRootFS(ctx, f, index.Compressed, known, strip, opts)
	case strip > 0:
		return nil, errStrip
	}
	if check.Hex != "" {
		sum, err := f.Digest(ctx)
		if err != nil {
			return nil, err
		}
		if sum != check {
			return nil, &untrusted.DigestError{What: "the file", From: f.Path, Want: check.String(), Got: sum.String()}
		}
	}
	if kind == archive.OCILayout {
		return openLayout(ctx, layout{index.Open, f.Path}, opts)
	}
	return openDockerSave(ctx, index.Open, f.Path, opts)
}

// openRootFS makes an image of one layer of a tar. known, when set, is what
// the file's digest must be.
func openRootFS(ctx context.Context, f archive.File, compressed bool, known v1.Hash, strip int, opts Options) (*Image, error) {
	sums, err := archive.Measure(ctx, f, compressed, strip, opts.Expansion)
	if err != nil {
		return nil, err
	}
	if known.Hex != "" && sums.File != known {
		return nil, &untrusted.DigestError{What: "the file", From: f.Path, Want: known.String(), Got: sums.File.String()}
	}
	blob := func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := f.Stream(ctx)
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		return untrusted.NewVerifier(rc, sums.File, sums.Size, "the file", func() string { return f.Path }, nil), nil
	}
	layer := Layer{
		DiffID:   sums.Tar.String(),
		Digest:   sums.File.String(),
		Size:     sums.Size,
		blob:     blob,
		progress: opts.Progress,
		allowed:  expand.FileDiet(),
		strip:    strip,

		expansion: opts.Expansion,
	}
	if strip > 0 { // the layer is another tar than the one in the file
		layer.Digest, layer.checkDiffID = "", true
		return &Image{Digest: layer.DiffID, Layers: []Layer{layer}}, nil
	}
	return &Image{Digest: layer.Digest, Layers: []Layer{layer}}, nil
}

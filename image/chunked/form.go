// Package chunked reads what a zstd:chunked layer says of itself: where in the blob
// each piece of each file lies, compressed by itself, and what digest it has.
//
// Such a blob is a zstd stream like others, to whose end two frames are added that a
// decoder skips: the table of contents, which is JSON, and what tar-split has kept of
// the archive between its files. The layer's annotations say where they are. The format
// is that of pkg/chunked in github.com/containers/storage, which Podman, Buildah and
// Skopeo write and read.
//
// All of it is what the image's maker says, bounded here and believed nowhere: that what
// is put together is the layer is for its digest to say.
package chunked

import (
	"fmt"
	"strconv"
	"strings"
)

// The annotations of a layer: "offset:length:size:type", "sha256:<hex>" of the table's
// bytes as they lie in the blob, and "offset:length:size".
const (
	tablePosition    = "io.github.containers.zstd-chunked.manifest-position"
	tableChecksum    = "io.github.containers.zstd-chunked.manifest-checksum"
	tarSplitPosition = "io.github.containers.zstd-chunked.tarsplit-position"

	// tableType is the one form that there is.
	tableType = 1
)

const (
	// maxPacked bounds what is held in memory of a section, as it lies in the blob.
	maxPacked = 32 << 20
	// maxTable and maxTarSplit bound what becomes of them. They are read as streams.
	maxTable    = 160 << 20
	maxTarSplit = 1 << 30
)

// A Section is some bytes of a blob, and how many they are decompressed.
type Section struct{ Offset, Length, Size int64 }

// A Form says where a blob's table of contents is, with the sha256 of its bytes there,
// and what tar-split has kept.
type Form struct {
	Table, TarSplit Section
	Checksum        string
}

// Of reads a layer's annotations; size is that of the blob. It returns nil for a layer
// that is not of that form, or of an older one without tar-split.
func Of(annotations map[string]string, size int64) (*Form, error) {
	table, split := annotations[tablePosition], annotations[tarSplitPosition]
	if table == "" || split == "" {
		return nil, nil
	}
	f := &Form{Checksum: annotations[tableChecksum]}
	var err error
	if f.Table, err = section(table, 4, size, maxTable); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", tablePosition, err)
	}
	if f.TarSplit, err = section(split, 3, size, maxTarSplit); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", tarSplitPosition, err)
	}
	if _, err := parseDigest(f.Checksum); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", tableChecksum, err)
	}
	return f, nil
}

func section(value string, fields int, blob, largest int64) (s Section, err error) {
	parts := strings.Split(value, ":")
	if len(parts) != fields {
		return s, fmt.Errorf("%d numbers where %d belong", len(parts), fields)
	}
	var n [4]int64
	for i, p := range parts {
		if n[i], err = strconv.ParseInt(p, 10, 64); err != nil {
			return s, fmt.Errorf("number %d: %w", i+1, err)
		}
	}
	s = Section{n[0], n[1], n[2]}
	switch {
	case s.Offset <= 0 || s.Length <= 0 || s.Length > blob || s.Offset > blob-s.Length:
		return s, fmt.Errorf("it is not within the blob of %d bytes", blob)
	case s.Length > maxPacked || s.Size <= 0 || s.Size > largest:
		return s, fmt.Errorf("%d bytes of %d are more than are read", s.Length, s.Size)
	case fields == 4 && n[3] != tableType:
		return s, fmt.Errorf("type %d is not known", n[3])
	}
	return s, nil
}

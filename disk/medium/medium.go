// Package medium is the contract of who makes an installation medium and who installs
// from it: what lies where on the machine's disk, told in terms of the files that the
// medium has anyway. What no file has lies in one of its own.
//
//	install/disk.json     a Document
//	install/pieces        what no other file has, piece after piece
//	install/install.toml  optional: how to install (package unattended)
package medium

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// The files, below the stage's folder on the medium.
const (
	DocumentFile = "install/disk.json"
	PiecesFile   = "install/pieces"
	AnswersFile  = "install/install.toml"
)

// version is that of the document.
const version = 1

// Bounds of a document.
const (
	maxDocument = 64 << 20
	maxPieces   = 1 << 20
	maxSize     = 1e15
)

// A Document is a machine's disk.
type Document struct {
	Version  int    `json:"version"`
	Machine  string `json:"machine"`
	Revision string `json:"revision"`
	// Declared is what is declared of the disk, without its partitions.
	Declared layout.Disk `json:"declared"`
	// Partitions and Deployments, by image, are told to people.
	Partitions  []layout.Placed   `json:"partitions"`
	Deployments map[string]string `json:"deployments"`
	Size        int64             `json:"size"`
	Table       gpt.Table         `json:"table"`
	Pieces      []Piece           `json:"pieces"`
}

// A Piece is one of the disk. File is "" of zeros, else a path below the stage's folder.
type Piece struct {
	At   int64  `json:"at"`
	Size int64  `json:"size"`
	File string `json:"file,omitempty"`
	From int64  `json:"from,omitempty"`
}

// Write tells a disk, whose files lie below a folder that becomes the medium's stage:
// it adds the pieces to the document, and writes to rest what those files do not have.
func (d *Document) Write(ctx context.Context, disk *piece.Disk, stage string, rest io.Writer) error {
	d.Version, d.Size, d.Table = version, disk.Size, disk.Table
	at := int64(0)
	for _, p := range disk.Pieces {
		out := Piece{At: p.At, Size: p.Size}
		if rel, err := filepath.Rel(stage, p.File); p.File != "" && err == nil && filepath.IsLocal(rel) {
			out.File, out.From = filepath.ToSlash(rel), p.From
		} else if !p.Zero() {
			out.File, out.From = PiecesFile, at
			if err := copyPiece(ctx, p, rest); err != nil {
				return err
			}
			at += p.Size
		}
		d.Pieces = append(d.Pieces, out)
	}
	return nil
}

func copyPiece(ctx context.Context, p piece.Piece, to io.Writer) (err error) {
	o, err := p.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	_, err = io.Copy(to, ctxio.Reader(ctx, io.NewSectionReader(o, 0, p.Size)))
	return err
}

// Read reads the document of a medium whose stage is in a folder.
func Read(stage string) (*Document, error) {
	f, err := os.Open(filepath.Join(stage, filepath.FromSlash(DocumentFile)))
	if err != nil {
		return nil, fmt.Errorf("read what is to be installed: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read what is to be installed: %w", err)
	}
	d, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read what is to be installed: %s: %w; make the medium anew", f.Name(), err)
	}
	return d, nil
}

// parse reads a document, whoever wrote it: each piece lies on the disk, and is taken
// from a file of the medium.
func parse(data []byte) (*Document, error) {
	if len(data) > maxDocument {
		return nil, errors.New("it is too large")
	}
	var d Document
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&d); err != nil {
		return nil, err
	}
	switch {
	case d.Version != version:
		return nil, fmt.Errorf("its version is %d, and this gitboot knows %d", d.Version, version)
	case d.Size < 2*layout.Table || d.Size > maxSize:
		return nil, fmt.Errorf("a disk of %d bytes cannot be", d.Size)
	case len(d.Pieces) > maxPieces:
		return nil, errors.New("it has too many pieces")
	}
	for i, p := range d.Pieces {
		switch {
		case p.At < 0 || p.Size < 0 || p.At > d.Size || p.Size > d.Size-p.At:
			return nil, fmt.Errorf("piece %d does not lie on the disk", i)
		case p.File != "" && !filepath.IsLocal(p.File) || p.From < 0 || p.From > maxSize:
			return nil, fmt.Errorf("piece %d is not taken from the medium", i)
		}
	}
	for i, p := range d.Table.Partitions {
		if p.Start < layout.Table || p.Length <= 0 || p.Start > d.Size || p.Length > d.Size-p.Start {
			return nil, fmt.Errorf("partition %d does not lie on the disk", i+1)
		}
	}
	return &d, nil
}

// Disk is what is to be written, taken from the files below the stage's folder.
func (d *Document) Disk(stage string) *piece.Disk {
	out := &piece.Disk{Size: d.Size, Table: d.Table}
	for _, p := range d.Pieces {
		if p.File == "" {
			out.Zeros(p.At, p.Size)
			continue
		}
		out.File(p.At, filepath.Join(stage, filepath.FromSlash(p.File)), p.From, p.Size)
	}
	return out
}

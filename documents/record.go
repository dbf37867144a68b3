package documents

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	version = 1
	// MaxSize is how large a document may be, in bytes, and MaxTotal all of one image's.
	MaxSize, MaxTotal = 32 << 20, 64 << 20
	// maxDocuments is how many one image may have, and maxRecord how large a record may be.
	maxDocuments, maxRecord = 512, 1 << 20
)

// A Document is one of an image's, as its registry gives it.
type Document struct {
	// Manifest: it is one, or an index, and no blob.
	Manifest bool
	// Tag is by which tag it was found, "" if by its digest alone.
	Tag  string
	Data []byte
}

// An Image is what is kept of one.
type Image struct {
	Version int `json:"version"`
	// Repository is its name in full, with the registry's.
	Repository string `json:"repository"`
	// Digest is that of the image's manifest, of one platform.
	Digest string `json:"digest"`
	// Tag is the one by which it was found, "" if it was by a digest, and Named the digest
	// that the tag meant when it was asked for last, at Seen.
	Tag   string    `json:"tag,omitempty"`
	Named string    `json:"named"`
	Seen  time.Time `json:"seen"`
	// Whole: its registry was asked for all that belongs to it.
	Whole bool `json:"whole,omitempty"`
	// Documents are those that belong to it.
	Documents []Entry `json:"documents"`
}

// An Entry names a document.
type Entry struct {
	// SHA256 is in hex.
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Manifest bool   `json:"manifest,omitempty"`
	Tag      string `json:"tag,omitempty"`
}

// key is the name of an image's record.
func (i Image) key() string { return hash([]byte(i.Repository + "@" + i.Digest)) }

// Host is the registry's name, and Path the repository's in it.
func (i Image) split() (host, path string) {
	host, path, _ = strings.Cut(i.Repository, "/")
	return host, path
}

func parse(data []byte, key string) (i Image, err error) {
	if err := json.Unmarshal(data, &i); err != nil {
		return i, err
	}
	if i.Version != version || i.key() != key || len(i.Documents) > maxDocuments {
		return i, fmt.Errorf("it is of another form, or of another image")
	}
	for _, e := range i.Documents {
		if !isHash(e.SHA256) || e.Size < 0 || e.Size > MaxSize {
			return i, fmt.Errorf("it names what is no document")
		}
	}
	return i, nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(s) == s
}

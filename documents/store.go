package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
)

// A Store is the folder of what is kept. It need not be there. Who writes has to be the
// only one; readers see what is whole.
type Store string

func (s Store) content(sha256 string) string { return filepath.Join(string(s), "sha256", sha256) }
func (s Store) record(key string) string     { return filepath.Join(string(s), key+".json") }

// Put keeps an image's documents, in place of what is kept of it: what it had before and
// lacks now, because it could not be had again, stays. What is larger than it may be is
// left out, and so is what comes after all that there may be.
func (s Store) Put(img Image, list []Document) error {
	img.Version, img.Documents = version, nil
	known, _ := s.image(img.key()) // one that cannot be read is made anew
	room := int64(MaxTotal)
	add := func(e Entry) bool {
		if slices.Contains(img.Documents, e) || len(img.Documents) == maxDocuments || e.Size > min(room, MaxSize) {
			return false
		}
		img.Documents, room = append(img.Documents, e), room-e.Size
		return true
	}
	if err := durable.MkdirAll(filepath.Join(string(s), "sha256"), 0o700); err != nil {
		return s.failed(img, err)
	}
	for _, d := range list {
		e := Entry{SHA256: hash(d.Data), Size: int64(len(d.Data)), Manifest: d.Manifest, Tag: d.Tag}
		if !add(e) {
			continue
		}
		if _, err := s.Read(e.SHA256); err == nil {
			continue
		}
		if err := durable.WriteFile(s.content(e.SHA256), d.Data, 0o600); err != nil {
			return s.failed(img, err)
		}
	}
	for _, e := range known.Documents {
		if e.Tag == "" || !slices.ContainsFunc(img.Documents, func(other Entry) bool { return other.Tag == e.Tag }) {
			add(e)
		}
	}
	return s.tagged(img)
}

// tagged writes a record, and takes its tag from others, as that means this image now.
func (s Store) tagged(img Image) error {
	if err := s.write(img); err != nil || img.Tag == "" {
		return err
	}
	list, err := s.Images()
	if err != nil {
		return s.failed(img, err)
	}
	for _, other := range list {
		if other.Repository == img.Repository && other.Tag == img.Tag && other.Named != img.Named {
			other.Tag = ""
			err = errors.Join(err, s.write(other))
		}
	}
	return err
}

func (s Store) write(img Image) error {
	data, err := json.MarshalIndent(img, "", "  ")
	if err == nil {
		err = fault.Point("documents.record")
	}
	if err == nil {
		err = durable.WriteFile(s.record(img.key()), append(data, '\n'), 0o600)
	}
	return s.failed(img, err)
}

func (s Store) failed(img Image, err error) error {
	if err != nil {
		err = fmt.Errorf("keep the documents of %s: %w", img.Repository, err)
	}
	return err
}

// Saw notes by which tag an image was found now that was named by a digest when its
// documents were kept, and reports whether they are.
func (s Store) Saw(repository, named, tag string, now time.Time) (bool, error) {
	list, err := s.Images()
	at := slices.IndexFunc(list, func(i Image) bool { return i.Repository == repository && i.Named == named })
	if err != nil || at < 0 {
		return false, err
	}
	means := func(i Image) bool { return i.Repository == repository && i.Tag == tag }
	if tag == "" || means(list[at]) && !slices.ContainsFunc(list, func(i Image) bool { return means(i) && i.Named != named }) {
		return true, nil
	}
	list[at].Tag, list[at].Seen = tag, now
	return true, s.tagged(list[at])
}

// Whole reports whether all is kept of an image that its registry has told.
func (s Store) Whole(repository, named string) (bool, error) {
	list, err := s.Images()
	return slices.ContainsFunc(list, func(i Image) bool { return i.Repository == repository && i.Named == named && i.Whole }), err
}

// Images are all of which something is kept, those that were seen last first. A record
// that cannot be read is none.
func (s Store) Images() ([]Image, error) {
	entries, err := os.ReadDir(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Image
	for _, e := range entries {
		if key, ok := strings.CutSuffix(e.Name(), ".json"); ok && isHash(key) {
			if img, err := s.image(key); err == nil {
				list = append(list, img)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Image) int { return b.Seen.Compare(a.Seen) })
	return list, nil
}

func (s Store) image(key string) (Image, error) {
	data, err := readBounded(s.record(key), maxRecord)
	if err != nil {
		return Image{}, err
	}
	return parse(data, key)
}

// Read returns a document. One that is damaged is fs.ErrNotExist.
func (s Store) Read(sha256 string) ([]byte, error) {
	if !isHash(sha256) {
		return nil, fs.ErrNotExist
	}
	data, err := readBounded(s.content(sha256), MaxSize)
	if err == nil && hash(data) != sha256 {
		err = fmt.Errorf("document %s is damaged: %w", sha256, fs.ErrNotExist)
	}
	return data, err
}

// OpenRegular opens a file that lies there itself, and is one: a folder may be a stranger's.
// What is none is fs.ErrNotExist.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, f.Close(), fmt.Errorf("%s is no file: %w", path, fs.ErrNotExist))
	}
	return f, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, err
}

// Collect removes what is kept of images that are of no use any more, and documents that
// no record names.
func (s Store) Collect(used func(Image) bool) error {
	list, err := s.Images()
	if err != nil {
		return fmt.Errorf("collect documents: %w", err)
	}
	live := map[string]bool{}
	for _, img := range list {
		if !used(img) {
			if err := durable.Remove(s.record(img.key())); err != nil {
				return fmt.Errorf("collect documents: %w", err)
			}
			continue
		}
		for _, e := range img.Documents {
			live[e.SHA256] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(string(s), "sha256"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("collect documents: %w", err)
	}
	for _, e := range entries {
		if !live[e.Name()] {
			err = errors.Join(err, os.Remove(s.content(e.Name())))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

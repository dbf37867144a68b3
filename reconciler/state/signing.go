package state

import (
	"path/filepath"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/stage"
)

// Signing is what was signed for another machine, of what that boots:
// workshop/signing/MACHINE/signing.json.
type Signing struct {
	Version int    `json:"version"`
	Machine string `json:"machine"`
	// Revision is the last one of which all is signed, Time when that was found.
	Revision string    `json:"revision,omitempty"`
	Time     time.Time `json:"time,omitzero"`
	// Images are what was published of each.
	Images map[string]Signed `json:"images,omitempty"`
	// Failure is why the last try has failed.
	Failure *Failure `json:"failure,omitempty"`
}

// Signed is a signature that was published: of a deployment, which boots by the program
// with that body, as a tag beside the image in a repository.
type Signed struct {
	Deployment string    `json:"deployment"`
	Body       string    `json:"body"`
	Ref        string    `json:"ref"`
	Tag        string    `json:"tag"`
	Time       time.Time `json:"time"`
}

func signingFile(dir, machine string) string {
	return filepath.Join(stage.Layout(dir).Workshop().Signing(machine), "signing.json")
}

// LoadSigning reads what was signed for a machine, on the stage in dir. There may be none.
func LoadSigning(dir, machine string) (*Signing, error) {
	path, s := signingFile(dir, machine), &Signing{Version: Version, Machine: machine}
	there, err := read(path, "what is signed for "+machine, "remove it, and all is signed again", s)
	if err != nil || !there {
		return s, err
	}
	return s, checkVersion(path, "what is signed for "+machine, s.Version)
}

// Signings are those of all machines, sorted.
func Signings(dir string) (all []Signing, err error) {
	machines, err := stage.Layout(dir).Workshop().SignedFor()
	for _, name := range machines {
		s, err := LoadSigning(dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, *s)
	}
	return all, err
}

// Save publishes it, if it differs from what is there.
func (s *Signing) Save(dir string) error {
	if was, err := LoadSigning(dir, s.Machine); err == nil && same(was, s) {
		return nil
	}
	path := signingFile(dir, s.Machine)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return write(path, "what is signed for "+s.Machine, s)
}

package stage

import (
	"fmt"
	"os"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage/internal/manifests"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// ErrNoDeployment is returned for an id that the stage does not have.
var ErrNoDeployment = manifests.ErrNone

// Publish makes a deployment bootable and returns its id. Every object that it
// names must be on the stage.
func (s *Stage) Publish(m *deployment.Manifest) (id string, err error) {
	data, err := m.Canonical()
	if err != nil {
		return "", fmt.Errorf("publish deployment: %w", err)
	}
	id = deployment.ID(data)
	lacking, err := Lacking(s, m)
	if err != nil {
		return "", fmt.Errorf("publish deployment of %q: %w", m.Image, err)
	}
	if len(lacking) > 0 {
		return "", fmt.Errorf("publish deployment of %q: the stage lacks %s; add them first", m.Image, names(lacking))
	}
	path := s.deployment(id)
	if there, err := os.ReadFile(path); err == nil && string(there) == string(data) {
		return id, nil
	}
	if err := fault.Point("stage.deployment.publishing"); err != nil {
		return "", err
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return "", s.full(fmt.Errorf("publish deployment of %q: %w", m.Image, err), int64(len(data)))
	}
	return id, fault.Point("stage.deployment.published")
}

// Lacking returns the objects of a deployment that are not on the stage in their
// full length, or known to be damaged.
func Lacking(s *Stage, m *deployment.Manifest) ([]deployment.Object, error) {
	var lacking []deployment.Object
	for _, o := range m.Objects() {
		ok, err := s.has(o)
		if err != nil {
			return nil, err
		}
		if !ok {
			lacking = append(lacking, o)
		}
	}
	return lacking, nil
}

func names(objects []deployment.Object) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Path())
	}
	return strings.Join(out, ", ")
}

// Deployments returns the ids of all deployments, sorted.
func (s *Stage) Deployments() ([]string, error) {
	return record.Names(s.deployments(), deployment.IsHash)
}

// Deployment returns a deployment's manifest, which was checked against its id when
// its file was read last. What it points to, nobody may change.
func (s *Stage) Deployment(id string) (*deployment.Manifest, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return s.manifests.Get(id)
}

// Proven is Deployment of a file that this process has read itself.
func Proven(s *Stage, id string) (*deployment.Manifest, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return s.manifests.Read(id)
}

func checkID(id string) error {
	if !deployment.IsHash(id) {
		return fmt.Errorf("deployment %q: an id is 64 hex digits", id)
	}
	return nil
}

// Broken returns those of some deployments that lack an object (see Lacking), which is
// looked at once for all. Of one whose manifest cannot be read it says nothing.
func Broken(s *Stage, ids []string) map[string]bool {
	marked := Marked(s.Layout)
	return s.manifests.Lacking(ids, func(o deployment.Object) bool {
		ok, err := whole(s, o)
		return ok && err == nil && !marked[o.SHA256]
	})
}

// Remember keeps what was read of manifests for the next process. That it cannot costs
// time, and no more. The caller holds the lock.
func Remember(s *Stage) {
	ids, err := s.Deployments()
	if err == nil {
		err = s.manifests.Remember(ids)
	}
	if err != nil {
		s.log().Debug("the next run reads all manifests again", "error", err)
	}
}

// RemoveDeployment takes a deployment away; its objects stay until Collect.
// One that is not there is no error.
func (s *Stage) RemoveDeployment(id string) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("remove %w", err)
	}
	if err := durable.Remove(s.deployment(id)); err != nil {
		return fmt.Errorf("remove deployment %s: %w", id, err)
	}
	return fault.Point("stage.deployment.removed")
}

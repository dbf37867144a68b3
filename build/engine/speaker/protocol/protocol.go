// Package protocol is the contract between gitboot and gitboot-buildkit, the
// program that speaks to a builder. BuildKit's client is in a program of its
// own because of what it brings: linked into gitboot, it would make every run
// slower to start and larger, also those that build nothing.
//
//	gitboot-buildkit check REQUEST   asks whether the builder answers
//	gitboot-buildkit build REQUEST   builds, and prints the image's id
//
// REQUEST is the JSON of a Request. What the steps print goes to standard
// error in the form that buildah prints; if something fails, the last line
// there says what. The exit code is 0 or 1.
//
// The store is a folder in the form of an OCI layout's: blobs/sha256/<hex>,
// each published durably, and ingest with what is on its way. An image is its
// manifest's blob, whose digest is its id and which is published last. Layers
// are not compressed, so that a layer's digest is its diff id.
package protocol

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// IngestFolder is where a store has what is not complete.
const IngestFolder = "ingest"

// A Builder is a BuildKit daemon.
type Builder struct {
	// Address is unix:///path or tcp://host:port.
	Address string
	// CA vouches for a builder over tcp, Cert and Key prove who we are. They
	// are paths of PEM files.
	CA, Cert, Key string
}

// A Request is what gitboot-buildkit is to do. Names are paths.
type Request struct {
	Builder Builder
	// Store takes what is built, and holds the base.
	Store                  string
	Containerfile, Context string
	// Base is the id of the image that BaseArg names, "" for none.
	Base, BaseArg string
	Args          map[string]string
	Secrets       map[string]string // id → path
	Platform      string
	// CredentialsFile is for images that the builder pulls, "" for none.
	CredentialsFile string
	NoCache         bool
	// Epoch is in seconds since 1970. Steps is what the Containerfile has, to
	// be shown.
	Epoch int64
	Steps int
	// Docker is set for the builder in a docker daemon. It has a store of its
	// own: ours is not used, and no id is printed.
	Docker *Docker
}

// Docker says what images are called in a docker daemon.
type Docker struct {
	// Base is the name of the base, "" for none. Name is given to what is
	// built.
	Base, Name string
}

// Endpoint takes the address apart. Secrets go to the builder, and what it
// gives is booted: over a network it has to prove who it is.
func (b Builder) Endpoint() (network, address string, err error) {
	u, err := url.Parse(b.Address)
	if err != nil {
		return "", "", err
	}
	if (b.Cert == "") != (b.Key == "") {
		return "", "", errors.New("cert and key come together; give both or none")
	}
	switch u.Scheme {
	case "unix":
		if b.CA != "" || b.Cert != "" {
			return "", "", errors.New("ca, cert and key are for an address that begins with tcp://")
		}
		if u.Host != "" || u.Path == "" {
			return "", "", errors.New("write unix:///PATH, with three slashes")
		}
		return "unix", u.Path, nil
	case "tcp":
		if _, _, err := net.SplitHostPort(u.Host); err != nil {
			return "", "", fmt.Errorf("%w; write tcp://HOST:PORT", err)
		}
		if b.CA == "" && !net.ParseIP(u.Hostname()).IsLoopback() {
			return "", "", errors.New("without ca, the builder cannot prove who it is; name the file of its authority's certificate")
		}
		return "tcp", u.Host, nil
	}
	return "", "", errors.New("it does not begin with unix:// or tcp://")
}

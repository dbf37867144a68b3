package luks

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
)

// Of LUKS2's header (its specification, 2.1): a part of 4096 bytes, and JSON behind it.
const (
	newFixed   = 4096
	minNew     = 16 << 10
	maxNew     = 4 << 20
	maxEntries = 32
)

// readNew reads LUKS2's, which stands there twice.
func readNew(disk io.ReaderAt) (*Header, error) {
	first, ferr := readCopy(disk, 0, magic)
	best := first
	// where the second begins is what the first says, and if that is damaged, one of these
	for size := int64(minNew); size <= maxNew; size *= 2 {
		if first != nil && size != first.size {
			continue
		}
		if second, err := readCopy(disk, size, magicOther); err == nil && (best == nil || second.sequence > best.sequence) {
			best = second
		}
	}
	if best == nil {
		return nil, ferr
	}
	return best.parse()
}

// A headerCopy is one of the two, whole.
type headerCopy struct {
	size     int64
	sequence uint64
	uuid     string
	json     []byte
}

// readCopy reads one of the two and verifies its checksum.
func readCopy(disk io.ReaderAt, at int64, begin []byte) (*headerCopy, error) {
	b := make([]byte, newFixed)
	if _, err := disk.ReadAt(b, at); err != nil {
		return nil, err
	}
	if !bytes.Equal(b[:6], begin) {
		return nil, ErrNoHeader
	}
	if v := be.Uint16(b[6:]); v != 2 {
		return nil, fmt.Errorf("it is of version %d, and known are 1 and 2", v)
	}
	c := &headerCopy{size: int64(min(be.Uint64(b[8:]), maxNew+1)), sequence: be.Uint64(b[16:]), uuid: text(b[168:208])}
	if c.size < minNew || c.size > maxNew || be.Uint64(b[256:]) != uint64(at) {
		return nil, ErrNoHeader
	}
	c.json = make([]byte, c.size-newFixed)
	if _, err := disk.ReadAt(c.json, at+newFixed); err != nil {
		return nil, err
	}
	sum := hasher(text(b[72:104]))
	if sum == nil {
		return nil, fmt.Errorf("its checksum is by %.32q, and known are sha256 and sha512", text(b[72:104]))
	}
	h := sum()
	want := bytes.Clone(b[448:512])
	clear(b[448:512])
	h.Write(b)
	h.Write(c.json)
	if got := h.Sum(nil); subtle.ConstantTimeCompare(got, want[:len(got)]) != 1 {
		return nil, ErrNoHeader
	}
	c.json, _, _ = bytes.Cut(c.json, []byte{0})
	return c, nil
}

// hasher is nil for those that are not known.
func hasher(name string) func() hash.Hash {
	switch name {
	case "sha1": // LUKS1's default until 2015
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	}
	return nil
}

// number is one that JSON has as a string.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	*n = number(v)
	return err
}

// metadata is the JSON (the specification, 3).
type metadata struct {
	Keyslots map[string]struct {
		Type     string `json:"type"`
		KeySize  int    `json:"key_size"`
		Priority *int   `json:"priority"`
		AF       struct {
			Type    string `json:"type"`
			Stripes int    `json:"stripes"`
			Hash    string `json:"hash"`
		} `json:"af"`
		Area struct {
			Type       string `json:"type"`
			Offset     number `json:"offset"`
			Size       number `json:"size"`
			Encryption string `json:"encryption"`
			KeySize    int    `json:"key_size"`
		} `json:"area"`
		KDF struct {
			Type       string `json:"type"`
			Hash       string `json:"hash"`
			Iterations int    `json:"iterations"`
			Time       int    `json:"time"`
			Memory     int    `json:"memory"`
			CPUs       int    `json:"cpus"`
			Salt       []byte `json:"salt"`
		} `json:"kdf"`
	} `json:"keyslots"`
	Segments map[string]struct {
		Type       string          `json:"type"`
		Offset     number          `json:"offset"`
		Size       string          `json:"size"`
		Tweak      number          `json:"iv_tweak"`
		Encryption string          `json:"encryption"`
		Sector     int             `json:"sector_size"`
		Integrity  json.RawMessage `json:"integrity"`
		Flags      []string        `json:"flags"`
	} `json:"segments"`
	Digests map[string]struct {
		Type       string   `json:"type"`
		Keyslots   []string `json:"keyslots"`
		Segments   []string `json:"segments"`
		Hash       string   `json:"hash"`
		Iterations int      `json:"iterations"`
		Salt       []byte   `json:"salt"`
		Digest     []byte   `json:"digest"`
	} `json:"digests"`
	Tokens map[string]json.RawMessage `json:"tokens"`
	Config struct {
		Flags        []string `json:"flags"`
		Requirements struct {
			Mandatory []string `json:"mandatory"`
		} `json:"requirements"`
	} `json:"config"`
}

func (c *headerCopy) parse() (*Header, error) {
	var m metadata
	if err := json.Unmarshal(c.json, &m); err != nil {
		return nil, fmt.Errorf("its JSON: %w", err)
	}
	if len(m.Keyslots) > maxEntries || len(m.Segments) > maxEntries || len(m.Digests) > maxEntries || len(m.Tokens) > maxEntries {
		return nil, fmt.Errorf("it has more than %d key slots, segments, digests or tokens", maxEntries)
	}
	if r := m.Config.Requirements.Mandatory; len(r) > 0 {
		return nil, fmt.Errorf("it requires %.64q, which is not known here; if it is being encrypted anew, have that end first (cryptsetup reencrypt --resume-only)", r[0])
	}
	h := &Header{Version: 2, UUID: c.uuid}
	if err := h.setData(&m); err != nil {
		return nil, err
	}
	if err := h.setSlots(&m); err != nil {
		return nil, err
	}
	for _, name := range sortedNames(m.Tokens) {
		var t struct {
			Type     string   `json:"type"`
			Keyslots []string `json:"keyslots"`
		}
		if err := json.Unmarshal(m.Tokens[name], &t); err != nil {
			return nil, fmt.Errorf("its token %s: %w", name, err)
		}
		h.Tokens = append(h.Tokens, Token{Type: t.Type, Slots: t.Keyslots, JSON: m.Tokens[name]})
	}
	return h, h.check()
}

// setData reads where the data lies: in one segment, unless it is just being
// encrypted anew.
func (h *Header) setData(m *metadata) error {
	s, ok := m.Segments["0"]
	switch {
	case !ok || len(m.Segments) != 1:
		return errors.New("its data lies in more than one segment, or in none")
	case s.Type != "crypt":
		return fmt.Errorf("its data is of type %.32q", s.Type)
	case len(s.Integrity) > 0:
		return errors.New("its data is authenticated, which is not known here; format it without --integrity")
	}
	h.Data = Segment{Offset: int64(s.Offset), Cipher: s.Encryption, Sector: s.Sector, Tweak: uint64(s.Tweak)}
	if s.Tweak < 0 {
		return errors.New("its first sector has a number below 0")
	}
	if s.Size != "dynamic" {
		size, err := strconv.ParseInt(s.Size, 10, 64)
		if err != nil || size < 1 {
			return fmt.Errorf("its data has a size of %.32q", s.Size)
		}
		h.Data.Size = size
	}
	options := map[string]string{
		"allow-discards": "allow_discards", "same-cpu-crypt": "same_cpu_crypt", "submit-from-crypt-cpus": "submit_from_crypt_cpus",
		"no-read-workqueue": "no_read_workqueue", "no-write-workqueue": "no_write_workqueue",
	}
	for _, flag := range m.Config.Flags {
		if option := options[flag]; option != "" && !slices.Contains(h.Data.Options, option) {
			h.Data.Options = append(h.Data.Options, option)
		}
	}
	return nil
}

// setSlots reads those that hold the data's key.
func (h *Header) setSlots(m *metadata) error {
	for _, name := range sortedNames(m.Digests) {
		d := m.Digests[name]
		if !slices.Contains(d.Segments, "0") {
			continue
		}
		if d.Type != "pbkdf2" {
			return fmt.Errorf("its digest is by %.32q, and known is pbkdf2", d.Type)
		}
		sum := digest{hash: d.Hash, iterations: d.Iterations, salt: d.Salt, sum: d.Digest}
		for _, slotName := range d.Keyslots {
			k, ok := m.Keyslots[slotName]
			if !ok || k.Type != "luks2" || k.AF.Type != "luks1" || k.Area.Type != "raw" {
				continue
			}
			s := slot{
				name: slotName, priority: 1, keySize: k.KeySize, stripes: k.AF.Stripes, afHash: k.AF.Hash, digest: sum,
				kdf:  kdf{kind: k.KDF.Type, hash: k.KDF.Hash, iterations: k.KDF.Iterations, time: k.KDF.Time, memory: k.KDF.Memory, threads: k.KDF.CPUs, salt: k.KDF.Salt},
				area: area{offset: int64(k.Area.Offset), size: int64(k.Area.Size), cipher: k.Area.Encryption, keySize: k.Area.KeySize},
			}
			if k.Priority != nil {
				s.priority = *k.Priority
			}
			h.slots = append(h.slots, s)
		}
	}
	if len(h.slots) > maxEntries {
		return errors.New("its digests name a key slot twice")
	}
	slices.SortStableFunc(h.slots, func(a, b slot) int { return b.priority - a.priority })
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

package lan

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// lifetime is how long others may keep an answer, in seconds.
const lifetime = 120

// A service is what a machine says of itself.
type service struct {
	machine string // a label of a name
	port    uint16
	tls     bool
}

// overTLS is in the TXT record of who speaks TLS.
const overTLS = "tls=1"

// question asks who there is.
func question() ([]byte, error) {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(Service), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	return m.Pack()
}

func (s service) instance() string { return s.machine + "." + Service }

// host is a name of its own, so that the one which the system's responder answers for
// stays as it is.
func (s service) host() string { return "gitboot-" + s.machine + ".local." }

// asked reports whether a packet asks for the service, or for what it is called by.
func (s service) asked(packet []byte) bool {
	var p dnsmessage.Parser
	head, err := p.Start(packet)
	if err != nil || head.Response {
		return false
	}
	for range maxPeers {
		q, err := p.Question()
		if err != nil {
			return false
		}
		if slices.ContainsFunc([]string{Service, s.instance(), s.host()}, func(name string) bool { return strings.EqualFold(name, q.Name.String()) }) {
			return true
		}
	}
	return false
}

// answer is all that there is to say, at addresses, and for how many seconds others may
// keep it: none if it is not so any more.
func (s service) answer(at []netip.Addr, seconds uint32) ([]byte, error) {
	var names [2]dnsmessage.Name
	for i, name := range []string{s.instance(), s.host()} {
		var err error
		if names[i], err = dnsmessage.NewName(name); err != nil {
			return nil, err
		}
	}
	instance, host := names[0], names[1]
	about := func(name dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: seconds}
	}
	text := "tls=0"
	if s.tls {
		text = overTLS
	}
	m := dnsmessage.Message{
		Header: dnsmessage.Header{Response: true, Authoritative: true},
		// It answers whatever was asked of these.
		Answers: []dnsmessage.Resource{
			{Header: about(dnsmessage.MustNewName(Service)), Body: &dnsmessage.PTRResource{PTR: instance}},
			{Header: about(instance), Body: &dnsmessage.SRVResource{Port: s.port, Target: host}},
			{Header: about(instance), Body: &dnsmessage.TXTResource{TXT: []string{text}}},
		},
	}
	for _, a := range at {
		is := dnsmessage.Resource{Header: about(host), Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
		if a.Is4() {
			is.Body = &dnsmessage.AResource{A: a.As4()}
		}
		m.Answers = append(m.Answers, is)
	}
	return m.Pack()
}

// read is what an answer says of who gave it: the first such service in it.
func read(packet []byte) (found service, ok bool) {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil || !m.Response {
		return service{}, false
	}
	records := slices.Concat(m.Answers, m.Additionals)
	instance := ""
	for _, r := range records {
		name := r.Header.Name.String()
		machine, ours := strings.CutSuffix(strings.ToLower(name), "."+Service)
		if srv, is := r.Body.(*dnsmessage.SRVResource); is && ours && srv.Port != 0 && r.Header.TTL != 0 {
			instance, found = name, service{machine: machine, port: srv.Port}
			break
		}
	}
	for _, r := range records {
		if text, is := r.Body.(*dnsmessage.TXTResource); is && instance != "" && strings.EqualFold(r.Header.Name.String(), instance) {
			found.tls = slices.Contains(text.TXT, overTLS)
		}
	}
	return found, instance != ""
}

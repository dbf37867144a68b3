package lan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"
)

var den = service{machine: "den", port: 8376, tls: true}

func TestWhoAsksIsAnswered(t *testing.T) {
	ask, err := question()
	if err != nil {
		t.Fatal(err)
	}
	if !den.asked(ask) {
		t.Error("its own question is none to it")
	}
	packet, err := den.answer(addresses("192.168.1.2", "fe80::2"), lifetime)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := read(packet); !ok || found != den {
		t.Errorf("its own answer says %v, %v", found, ok)
	}
	if den.asked(packet) {
		t.Error("an answer is answered")
	}
	plain := den
	plain.tls = false
	if packet, err = plain.answer(nil, lifetime); err != nil {
		t.Fatal(err)
	}
	if found, ok := read(packet); !ok || found != plain {
		t.Errorf("without TLS its answer says %v, %v", found, ok)
	}
	for what, name := range map[string]string{"its host": "GITBOOT-den.local.", "it by name": "den._gitboot._tcp.local."} {
		if !den.asked(asking(t, name)) {
			t.Errorf("who asks for %s gets no answer", what)
		}
	}
	if den.asked(asking(t, "_ipp._tcp.local.")) || den.asked(asking(t, "den.local.")) {
		t.Error("it answers for what others answer for")
	}
}

func addresses(list ...string) (all []netip.Addr) {
	for _, a := range list {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// Who is told that it is over finds nobody.
func TestWhatIsTakenBack(t *testing.T) {
	packet, err := den.answer(addresses("192.168.1.2"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := read(packet); ok {
		t.Errorf("found %v", found)
	}
}

func asking(t *testing.T, names ...string) []byte {
	t.Helper()
	m := dnsmessage.Message{}
	for _, n := range names {
		m.Questions = append(m.Questions, dnsmessage.Question{Name: dnsmessage.MustNewName(n), Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET})
	}
	return pack(t, m)
}

func pack(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func srv(name string, port uint16) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: lifetime},
		Body: &dnsmessage.SRVResource{Port: port, Target: dnsmessage.MustNewName("elsewhere.example.")}}
}

func txt(name string, text ...string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET},
		Body: &dnsmessage.TXTResource{TXT: text}}
}

// Answers of others, and what is no answer.
func TestAnswersAreRead(t *testing.T) {
	said := dnsmessage.Header{Response: true}
	const one, other = "One._gitboot._TCP.local.", "two._gitboot._tcp.local."
	many := make([]dnsmessage.Resource, 300)
	for i := range many {
		many[i] = txt(one, "tls=0")
	}
	whole := pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv(one, 80)}})
	for what, test := range map[string]struct {
		packet []byte
		want   string
	}{
		"nothing":                     {nil, ""},
		"no DNS":                      {[]byte("GET / HTTP/1.1\r\n\r\n"), ""},
		"a name that leads to itself": {append(slices.Clone(whole[:12]), 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 0, 0, 0), ""},
		"an answer that is cut":       {whole[:len(whole)-3], ""},
		"a question":                  {asking(t, Service), ""},
		"another service":             {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv("one._ipp._tcp.local.", 80)}}), ""},
		"the service itself":          {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv(Service, 80)}}), ""},
		"no port":                     {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv(one, 0), txt(one, "tls=1")}}), ""},
		"text alone":                  {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{txt(one, "tls=1")}}), ""},
		"no text":                     {whole, "http://10.0.0.1:80"},
		"another's text":              {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv(one, 80), txt(other, "tls=1")}}), "http://10.0.0.1:80"},
		"several texts":               {pack(t, dnsmessage.Message{Header: said, Answers: []dnsmessage.Resource{srv(one, 443)}, Additionals: []dnsmessage.Resource{txt(strings.ToLower(one), strings.Repeat("x", 255), "tls=1")}}), "https://10.0.0.1:443"},
		"two services":                {pack(t, dnsmessage.Message{Header: said, Additionals: []dnsmessage.Resource{srv(other, 81), srv(one, 80), txt(one, "tls=1")}}), "http://10.0.0.1:81"},
		"many records":                {pack(t, dnsmessage.Message{Header: said, Answers: many, Additionals: []dnsmessage.Resource{srv(one, 80)}}), "http://10.0.0.1:80"},
	} {
		got := ""
		if found, ok := read(test.packet); ok {
			got = found.at(netip.MustParseAddr("10.0.0.1"))
		}
		if got != test.want {
			t.Errorf("%s: found %q instead of %q", what, got, test.want)
		}
	}
}

// Only those count that are in a private network of this machine's, and are not itself.
func TestWhoIsNear(t *testing.T) {
	l := link{index: 2, nets: []netip.Prefix{netip.MustParsePrefix("192.168.1.5/24"), netip.MustParsePrefix("169.254.7.7/16"),
		netip.MustParsePrefix("fe80::5/64"), netip.MustParsePrefix("fd12:3456::5/64")}}
	for address, want := range map[string]bool{
		"192.168.1.2": true, "169.254.1.1": true,
		"192.168.1.5": false, "192.168.2.2": false, "8.8.8.8": false, "127.0.0.1": false, "0.0.0.0": false, "224.0.0.251": false,
		"fe80::1": true, "fd12:3456::1": true,
		"fe80::5": false, "fe80:0:0:1::1": false, "fd12:3456::5": false, "fd12:3457::1": false, "2001:db8::1": false, "::1": false, "::": false, "ff02::fb": false,
	} {
		if l.has(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: near is %v", address, !want)
		}
	}
	public := link{nets: []netip.Prefix{netip.MustParsePrefix("203.0.113.5/24"), netip.MustParsePrefix("2001:db8::5/64")}}
	if public.has(netip.MustParseAddr("203.0.113.6")) || public.has(netip.MustParseAddr("2001:db8::6")) || l.has(netip.Addr{}) {
		t.Error("a public address, or none, is near")
	}
}

// Whoever is found by both families is taken once, those by the first one first.
func TestFamiliesAreMerged(t *testing.T) {
	den, attic, cellar := "den", "attic", "cellar"
	four := []peer{{den, "http://10.0.0.2:80"}, {attic, "http://10.0.0.1:80"}, {attic, "http://10.0.0.3:80"}}
	six := []peer{{den, "http://[fd00::1]:80"}, {cellar, "http://[fe80::1%25eth0]:80"}}
	want := []string{"http://10.0.0.1:80", "http://10.0.0.2:80", "http://10.0.0.3:80", "http://[fe80::1%25eth0]:80"}
	if got := merge(four, six); !slices.Equal(got, want) {
		t.Errorf("merged: %q", got)
	}
	if got := merge(nil, six); len(got) != 2 {
		t.Errorf("by IPv6 alone: %q", got)
	}
	if got := merge(slices.Repeat(four, 7), six); len(got) != maxPeers {
		t.Errorf("%d are found", len(got))
	}
}

// An address of a link alone is called so that a browser or curl would find it.
func TestAddressesOfALink(t *testing.T) {
	l := link{name: "eth0.7"}
	for address, want := range map[string]string{"fe80::1": "https://[fe80::1%25eth0.7]:8376", "fd00::1": "https://[fd00::1]:8376", "169.254.1.1": "https://169.254.1.1:8376"} {
		if got := den.at(l.at(netip.MustParseAddr(address))); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// Nothing is said twice within a second, and nobody who asks waits for longer.
func TestTurns(t *testing.T) {
	limit, start := rate.NewLimiter(rate.Every(pause), 1), time.Now()
	for _, step := range []struct {
		at, said time.Duration // said: when, or never for it
	}{
		{0, 0}, {10 * time.Millisecond, time.Second}, {20 * time.Millisecond, 0}, {990 * time.Millisecond, 0},
		{1010 * time.Millisecond, 2 * time.Second}, {1500 * time.Millisecond, 0}, {5 * time.Second, 5 * time.Second},
	} {
		wait, due := turn(limit, start.Add(step.at))
		if due != (step.said > 0 || step.at == 0) || due && (step.at+wait).Round(time.Millisecond) != step.said {
			t.Errorf("asked at %s: %v, after %s", step.at, due, wait)
		}
	}
}

func FuzzRead(f *testing.F) {
	packet, err := den.answer(addresses("192.168.1.2", "fe80::2"), lifetime)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	f.Add(pack(f, dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{srv("a._gitboot._tcp.local.", 1), txt("a._gitboot._tcp.local.", "tls=1")}}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		den.asked(packet)
		found, ok := read(packet)
		if ok != (found.port != 0) {
			t.Errorf("%q: %v, %v", packet, found, ok)
		}
	})
}

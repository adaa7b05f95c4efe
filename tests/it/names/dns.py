"""Asks name servers and is one: what the tests need of DNS, byte by byte.

    dns.py ask [-t] [-s SERVER] TYPE NAME...    the code and the answers, a line a name
    dns.py serve ADDRESS TEXT                   answers every A question with 192.0.2.77, TXT with TEXT
    dns.py flood SECONDS                        as many questions as it can; says how many were answered
"""
import ipaddress, random, socket, struct, sys, threading, time

TYPES = {'A': 1, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28}
CODES = {0: 'NOERROR', 1: 'FORMERR', 2: 'SERVFAIL', 3: 'NXDOMAIN', 4: 'NOTIMP', 5: 'REFUSED'}

def labels(name):
    out = b''
    for part in name.rstrip('.').split('.'):
        if part: out += bytes([len(part)]) + part.encode()
    return out + b'\0'

def read_name(message, at):
    parts, end = [], None
    while True:
        length = message[at]
        if length >= 192:
            if end is None: end = at + 2
            at = struct.unpack('>H', message[at:at + 2])[0] & 0x3fff
            continue
        at += 1
        if length == 0: return '.'.join(parts), end or at
        parts.append(message[at:at + length].decode())
        at += length

def told(message):
    flags, questions, answers = struct.unpack('>HHH', message[2:8])
    at, found = 12, []
    for _ in range(questions): at = read_name(message, at)[1] + 4
    for _ in range(answers):
        at = read_name(message, at)[1]
        kind, _, _, length = struct.unpack('>HHIH', message[at:at + 10])
        at += 10
        data = message[at:at + length]
        if kind in (1, 28): found.append(str(ipaddress.ip_address(data)))
        elif kind == 12: found.append(read_name(message, at)[0])
        else: found.append(data[1:1 + data[0]].decode())
        at += length
    cut = ' cut' if flags & 0x200 else ''
    return CODES.get(flags & 15, str(flags & 15)) + cut + ''.join(' ' + one for one in sorted(found))

def exactly(stream, count):
    data = b''
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more: raise EOFError
        data += more
    return data

def ask(arguments):
    stream = '-t' in arguments
    server = '127.0.0.11'
    if '-s' in arguments: server = arguments[arguments.index('-s') + 1]
    words = [word for word in arguments if word not in ('-t', '-s', server)]
    for name in words[1:]:
        number = random.randrange(65536)
        question = struct.pack('>HHHHHH', number, 0x100, 1, 0, 0, 0) + labels(name) + struct.pack('>HH', TYPES[words[0]], 1)
        if stream:
            with socket.create_connection((server, 53), 20) as tcp:
                tcp.sendall(struct.pack('>H', len(question)) + question)
                answer = exactly(tcp, struct.unpack('>H', exactly(tcp, 2))[0])
        else:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.settimeout(20)
            udp.sendto(question, (server, 53))
            answer, source = udp.recvfrom(65535)
            assert source == (server, 53), source
        assert struct.unpack('>H', answer[:2])[0] == number
        print(told(answer))

def reply(question, text, stream):
    name, end = read_name(question, 12)
    kind = struct.unpack('>H', question[end:end + 2])[0]
    flags, records = 0x8180, []
    if name.startswith('nowhere'): flags |= 3
    elif name.startswith('big'):
        if stream: records = [(16, bytes([200]) + b'x' * 200)] * 10
        else: flags |= 0x200
    elif kind == 1: records = [(1, bytes([192, 0, 2, 77]))]
    elif kind == 16: records = [(16, bytes([len(text)]) + text.encode())]
    out = question[:2] + struct.pack('>HHHHH', flags, 1, len(records), 0, 0) + question[12:end + 4]
    for kind, data in records: out += b'\xc0\x0c' + struct.pack('>HHIH', kind, 1, 5, len(data)) + data
    return out

def serve(address, text):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    tcp = socket.create_server((address, 53))
    def streams():
        while True:
            client, _ = tcp.accept()
            length = struct.unpack('>H', exactly(client, 2))[0]
            answer = reply(exactly(client, length), text, True)
            client.sendall(struct.pack('>H', len(answer)) + answer)
            client.close()
    threading.Thread(target=streams, daemon=True).start()
    print('ready', flush=True)
    while True:
        question, client = udp.recvfrom(65535)
        udp.sendto(reply(question, text, False), client)

def flood(seconds):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(('127.0.0.11', 53))
    udp.setblocking(False)
    question = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + labels('web') + struct.pack('>HH', 1, 1)
    end, answered = time.monotonic() + float(seconds), 0
    print('ready', flush=True)
    while time.monotonic() < end:
        for junk in (question, question[:-3], b'\xff' * 40, question[:2] + b'\x80' + question[3:]):
            try: udp.send(junk)
            except OSError: pass
        try:
            while True:
                udp.recv(65535)
                answered += 1
        except OSError: pass
    print(answered)

if sys.argv[1] == 'ask': ask(sys.argv[2:])
elif sys.argv[1] == 'serve': serve(*sys.argv[2:])
else: flood(sys.argv[2])

"""The system that Cubecast set out to surpass, rebuilt from its report for comparison.

Eight asyncio servers, one process each, on a hypercube. Requests are JSON lines over TCP, with one connection per request.
A node forwards each request along the cube's edges to the topic's home. The home stores it in memory and in a file that
is not synced, updates its neighbours one after the other, and answers.

    python3 source.py NODE PORT...
"""

import asyncio
import hashlib
import json
import sys

ME, PORTS = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
BITS = (len(PORTS) - 1).bit_length()
topics, publishers, subscribers = {}, set(), set()
log = open("log", "a", buffering=1)


def home_of(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[-4:], "big") % len(PORTS)


def neighbours(node):
    return [node ^ (1 << bit) for bit in range(BITS)]


async def ask(node, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORTS[node])
    writer.write(json.dumps(request).encode() + b"\n")
    await writer.drain()
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer


def subject(request):
    return request.get("topic") or request.get("publisher_id") or request.get("subscriber_id")


def apply(request):
    """Executes the request on this node, which is the home or a replica."""
    action, topic = request["action"], request.get("topic")
    if action != "pull":
        log.write(json.dumps(request) + "\n")
    if action == "create_publisher":
        publishers.add(request["publisher_id"])
    elif action == "create_subscriber":
        subscribers.add(request["subscriber_id"])
    elif action == "create_topic":
        if topic in topics:
            return {"status": "error", "message": "topic exists"}
        topics[topic] = {"owner": request["publisher_id"], "messages": [], "subscribers": set()}
    elif topic not in topics:
        return {"status": "error", "message": "unknown topic"}
    elif action == "delete_topic":
        if topics[topic]["owner"] != request["publisher_id"]:
            return {"status": "error", "message": "not the owner"}
        del topics[topic]
    elif action == "publish":
        topics[topic]["messages"].append(request["content"])
    elif action == "subscribe":
        topics[topic]["subscribers"].add(request["subscriber_id"])
    elif action == "pull":
        return {"status": "ok", "messages": topics[topic]["messages"][: request["max"]]}
    return {"status": "ok"}


async def answer(request):
    if request.pop("replicate", False):
        return apply(request)
    home = home_of(subject(request))
    if home != ME:
        # The next node towards the home, one edge at a time.
        edge = (ME ^ home) & -(ME ^ home)
        return await ask(ME ^ edge, request)
    result = apply(request)
    if result["status"] == "ok" and request["action"] != "pull":
        for node in neighbours(ME):
            await ask(node, {**request, "replicate": True})
    return result


async def serve(reader, writer):
    line = await reader.readline()
    if line:
        writer.write(json.dumps(await answer(json.loads(line))).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORTS[ME], backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())

"""A city's time zone from where its incidents are: only where there can be no doubt, else a question."""

from __future__ import annotations

# Inside these boxes (south, west, north, east) clocks have shown the same time all along, borders kept at a
# distance. They are a handful on purpose: elsewhere the user is asked.
_SURE: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "Europe/Paris": (
        (42.4, 2.0, 45.0, 6.6),
        (43.0, 6.0, 43.8, 7.4),
        (43.4, -1.3, 45.0, 2.0),
        (45.0, -1.3, 46.2, 6.0),
        (46.2, -1.8, 48.7, 5.9),
        (47.2, -4.8, 48.7, -1.8),
        (47.7, 5.9, 49.0, 7.8),
        (48.7, -1.3, 49.5, 5.8),
        (49.5, 0.1, 50.0, 4.0),
        (50.0, 1.6, 50.7, 3.15),
        (50.7, 1.6, 51.0, 2.5),
        (41.3, 8.5, 43.1, 9.6),
    ),
    "Europe/London": ((50.5, -5.0, 51.0, 0.0), (51.0, -3.5, 55.0, 1.2), (55.0, -5.0, 58.7, -1.5)),
    "America/New_York": ((38.0, -83.0, 41.5, -74.0), (39.5, -76.0, 42.9, -71.0), (27.0, -82.9, 38.0, -75.0)),
    "America/Chicago": ((29.0, -97.0, 41.0, -88.5), (41.0, -97.0, 43.5, -87.55)),
    "America/Denver": ((37.2, -109.0, 41.0, -103.0),),
    "America/Phoenix": ((31.5, -114.0, 34.5, -111.0),),
    "America/Los_Angeles": (
        (33.0, -124.5, 42.0, -119.0),
        (33.0, -119.0, 35.0, -116.5),
        (42.0, -124.6, 48.9, -118.0),
    ),
    "America/Vancouver": ((49.05, -128.0, 54.0, -121.0),),
}
DEFAULT = "Europe/Paris"


def guess_zone(lat: float, lng: float) -> tuple[str, bool]:
    """Time zone of a place, and whether it is sure; if not, the zone whose main city is nearest.

    Coordinates that make sense only when turned round give the zone of the turned place, so that reading them
    says that they are swapped.

    Examples
    --------
    >>> guess_zone(43.3, 5.4), guess_zone(38.63, -90.2)
    (('Europe/Paris', True), ('America/Chicago', True))
    """
    for north, east in ((lat, lng), (lng, lat)):
        for zone, boxes in _SURE.items():
            if any(s <= north <= n and w <= east <= e for s, w, n, e in boxes):
                return zone, True
    return _nearest(lat, lng), False


def _nearest(lat: float, lng: float) -> str:
    from zoneinfo import available_timezones

    import numpy as np

    from tranquillite_ml.intake.places import distance_km, zone_point

    cities = {
        zone: point for zone in sorted(available_timezones()) if (point := zone_point(zone)) is not None
    }
    if not cities or not abs(lat) <= 90 or not abs(lng) <= 180:
        return DEFAULT
    points = np.array(list(cities.values()))
    return list(cities)[int(distance_km(points[:, 0], points[:, 1], lat, lng).argmin())]

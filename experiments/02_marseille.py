# %% [markdown]
# # Marseille, des fichiers au rapport
#
# Les arrondissements, les quartiers, les vacances scolaires, les températures et les monuments sont réels. Les faits
# constatés sont **simulés**, comme les matchs, les escales et le vent : on connaît donc les effets qui ont été plantés, et
# l'on peut vérifier que l'analyse les retrouve. Rien de ce qui suit ne décrit un lieu de Marseille.
#
# Avec les faits constatés d'une ville, seul le point 1 change : `tq.read_incidents("faits.csv", tz="Europe/Paris")`.
#
#     python experiments/02_marseille.py                      # trois ans simulés, moins de cinq minutes
#     python experiments/02_marseille.py --sortie /tmp/vu     # et garde la carte et le rapport

# %%
import argparse
import os
import sys
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.signal import lfilter

import tranquillite_ml as tq
from tranquillite_ml.city import city_of, layers_of

options = argparse.ArgumentParser(description="Marseille, des fichiers au rapport")
options.add_argument("--jours", type=int, default=1096, help="durée simulée, à partir du 1er janvier 2022")
options.add_argument(
    "--resolution", type=int, default=9, help="des cellules H3 : 9, environ 0,1 km² ; 8, 0,7 km²"
)
options.add_argument("--sortie", type=Path, default=None, help="dossier où garder la carte et le rapport")
choix = options.parse_args([] if hasattr(sys, "ps1") else None)

os.chdir(Path(__file__).parents[1])  # les chemins d'une configuration partent du dossier où l'on travaille
DONNEES = Path("../shared/data/marseille")
if not DONNEES.is_dir():
    sys.exit(f"{DONNEES} n'est pas là : ce tutoriel a besoin des couches réelles de Marseille.")

# %% [markdown]
# ## 1. La configuration, les couches, la ville
#
# Tout est dans `configs/marseille.yaml`. On ne prévoit ici qu'une catégorie, le bruit, et l'on apprend sur moins de lignes :
# c'est plus court.

# %%
debut = pd.Timestamp("2022-01-01")
reglages = [
    f"incidents.simulate.days={choix.jours}",
    f"incidents.simulate.resolution={choix.resolution}",
    f"grid.resolution={choix.resolution}",
    "incidents.categories={noise: {from: [noise], origin: citizen}}",
    "model.params={max_rows: 80000, n_estimators: 200}",
    "backtest.folds=12",
    "backtest.every=5D",
    f"backtest.first_cutoff={(debut + pd.Timedelta(days=choix.jours - 66)).date()}",
    "tracking.experiment=tutoriel",
]
config = tq.load_config("configs/marseille.yaml", reglages)
couches = layers_of(config)  # celles des fichiers et celles qui sont simulées
for couche in couches.values():
    print(couche)
ville = city_of(config)
print(ville)
print("→", ville.notice)

# %% [markdown]
# Chaque ligne d'une couche sait *quand elle a été connue* : la mesure d'un jour l'est le lendemain matin, une escale trois
# mois avant, une prévision au moment où elle est émise. Une prévision faite le soir ne peut donc rien voir du lendemain.

# %%
print(couches["weather"].as_of("2022-07-15")[["valid_from", "tmin", "tmax"]].tail(2).to_string(index=False))
for effet in ("mistral", "hot_day", "match_evening", "cruise_call", "school_holiday"):
    print(f"{effet}: {ville.windows[effet].sum()} heures sur {len(ville.hours)}")

# %% [markdown]
# ## 2. Regarder les données
#
# Les faits par arrondissement : ils servent à lire la carte et à l'audit, jamais à prévoir.

# %%
faits = ville.incidents.table
arrondissements = gpd.read_file(DONNEES / "context_arrondissements.geojson").set_index("depco")
bruit = faits[faits["category"] == "noise"]
points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(bruit["lng"], bruit["lat"]), crs="EPSG:4326")
combien = points.sjoin(arrondissements, predicate="within")["depco"].value_counts().sort_index()
km2 = arrondissements.to_crs("EPSG:2154").area / 1e6
print(pd.DataFrame({"faits simulés": combien, "par km²": (combien / km2).round(1)}).to_string())

# %% [markdown]
# ## 3. Compter par cellule et par jour, puis décrire ce qui était connu

# %%
cible = tq.Target("noise", period=1)  # un jour, avec des jours pour bins
jours = tq.TimeBins.covering(ville.incidents, freq="1D")
grille = tq.HexGrid.from_polygon(DONNEES / "context_arrondissements.geojson", resolution=choix.resolution)
panneau = tq.Panel.build(ville.incidents, grille, jours)
print(panneau)
variables = tq.FeatureSet(
    [
        tq.History(),
        tq.Neighbourhood(),
        tq.NearRepeat(),
        tq.Calendar(country="FR", layers=couches["school_holidays"]),
        tq.Daylight(),
        tq.Weather(couches["weather"], lags=[2], windows=[7]),
        tq.Weather(couches["wind"], forecast=couches["wind_forecast"], lags=[], windows=[7], anomalies=False),
        tq.Events(couches["matches"]),
        tq.Events(couches["cruise_calls"]),
        tq.Places(couches["monuments"]),
    ]
)
print(variables.table(cible, jours).groupby("family").size().to_string())

# %% [markdown]
# ## 4. Prévoir, évaluer, écrire la carte et le rapport
#
# `tq.run` fait toute la suite : prévisions rejouées comme si l'on était dans le passé, notes, dernière prévision, carte,
# audit et rapport.

# %%
sortie = tempfile.TemporaryDirectory()
config = tq.load_config("configs/marseille.yaml", [*reglages, f"output={choix.sortie or sortie.name}"])
fait = tq.run(config, track=False)
dossier = Path(fait["run_dir"])
previsions = tq.read_forecasts(dossier / "forecasts.parquet")
notes = tq.score(previsions)[["model", "n_incidents", "log_score", "log_score_lower", "log_score_upper"]]
print(notes.round(4).to_string(index=False))

# %% [markdown]
# Fait-on mieux que de simples comptages ? La réponse porte son intervalle, et il arrive que ce soit non.

# %%
print(tq.verdict(previsions, model="lightgbm").sentence)
courbe = tq.hotspot_curve(previsions, coverage=[0.01, 0.05])
colonnes = ["model", "coverage", "hit_rate", "hit_rate_lower", "hit_rate_upper"]
print(courbe[colonnes].round(3).to_string(index=False))

# %% [markdown]
# ## 5. Retrouve-t-on les effets plantés ?
#
# Le taux d'une heure a deux parts : un fond, que les effets multiplient, et les répétitions de voisinage, qui s'ajoutent :
#
# $$\lambda_t = e^{x_t\beta} + \alpha \sum_{s<t} w_{t-s}\, y_s$$
#
# Sans la seconde part, chaque facteur paraîtrait plus proche de 1 qu'il ne l'est. C'est une régression de Poisson avec
# mémoire (Fokianos, Rahbek et Tjøstheim 2009, doi:10.1198/jasa.2009.tm08270), ajustée par maximum de vraisemblance sur
# les heures et les groupes de cellules exposées aux mêmes lieux ; l'intervalle vient de l'information de Fisher.


# %%
def retrouver(ville, categorie):
    """Facteurs estimés des effets qui varient dans le temps, à côté des facteurs plantés, avec n et intervalle à 95 %."""
    plantes = {nom: e for nom, e in ville.planted.items() if e.factors.get(categorie, 1) != 1}
    exposees = np.concatenate([e.exposed for e in plantes.values()], axis=1)
    _, premiere, groupe = np.unique(exposees, axis=0, return_index=True, return_inverse=True)
    table = ville.incidents.table.query("category == @categorie")
    cellule = ville.grid.locate(table["lat"].to_numpy(), table["lng"].to_numpy())
    heure = ((table["occurred_at"] - ville.hours[0]) // pd.Timedelta(hours=1)).to_numpy()
    dedans = (cellule >= 0) & (heure < len(ville.hours))
    y = np.zeros((len(premiere), len(ville.hours)))
    np.add.at(y, (groupe.ravel()[cellule[dedans]], heure[dedans]), 1)

    # Le rythme du jour et celui de l'année, un niveau par groupe, et les heures où chaque effet agit.
    local = ville.hours.tz_localize(None)
    angles = [2 * np.pi * (local.hour + 0.5) / 24, 2 * np.pi * local.day_of_year / 365.25]
    x = [np.broadcast_to(f(a), y.shape) for a in angles for f in (np.cos, np.sin)]
    agit = {nom: (e.exposed[premiere] @ e.acting).astype(float) for nom, e in plantes.items()}
    agit = {nom: valeurs for nom, valeurs in agit.items() if np.ptp(valeurs, axis=1).any()}
    x = np.stack([*agit.values(), *x], axis=-1).reshape(y.size, -1)
    x = np.hstack([x, np.repeat(np.eye(len(y)), y.shape[1], axis=0)])
    k = x.shape[1]
    depart = np.concatenate([np.zeros(k - len(y)), np.log(0.8 * y.mean(axis=1)), [0.2]])
    possibles = [ajuster(x, y, memoire, depart) for memoire in (1, 2, 3, 5, 10)]  # jours
    trouve, s = min(possibles, key=lambda essai: essai[0].fun)
    fond = np.exp(x @ trouve.x[:-1])
    pente = np.hstack([x * fond[:, None], s[:, None]])
    ecart = np.sqrt(np.diag(np.linalg.inv((pente / (fond + trouve.x[-1] * s)[:, None]).T @ pente)))
    lignes = []
    for j, nom in enumerate(agit):
        bas, estime, haut = np.exp(trouve.x[j] + np.array([-1.96, 0, 1.96]) * ecart[j])
        n = int(y.ravel()[x[:, j] > 0].sum())
        lignes.append((nom, n, plantes[nom].factors[categorie], estime, bas, haut))
    return pd.DataFrame(lignes, columns=["effet", "n", "planté", "estimé", "bas", "haut"])


def ajuster(x, y, memoire, depart):
    """Maximum de vraisemblance pour une mémoire donnée, en jours."""
    reste = np.exp(-1 / (24 * memoire))
    s, plat = lfilter([0, 1 - reste], [1, -reste], y, axis=1).ravel(), y.ravel()

    def perte(p):
        fond = np.exp(x @ p[:-1])
        taux = fond + p[-1] * s
        manque = 1 - plat / taux
        return (taux - plat * np.log(taux)).sum(), np.append(x.T @ (manque * fond), manque @ s)

    bornes = [(None, None)] * x.shape[1] + [(0, 0.95)]
    return minimize(perte, depart, jac=True, method="L-BFGS-B", bounds=bornes), s


for categorie in ("noise", "theft"):
    effets = retrouver(ville, categorie)
    effets["écart %"] = 100 * (effets["estimé"] / effets["planté"] - 1)
    print(categorie)
    print(effets.round(3).to_string(index=False))
print(
    "n : faits simulés pendant que l'effet agit. Un effet rare (peu de soirs, peu de faits) reste incertain."
)

# %% [markdown]
# Le modèle, lui, ne voit que la *prévision* du vent, et des jours entiers : ce qu'il a appris est plus faible que ce qui a
# été planté, et c'est bien ce que l'on peut espérer savoir la veille.

# %%
modele = tq.open_bundle(dossier / "model", context=couches)
appris = tq.effect_curve(modele, panneau, "gust_kmh_forecast", category="noise", n_rows=2000)
calme, mistral = appris[appris["value"] < 50], appris[appris["value"] > 65]
facteur = np.exp(mistral["log_factor"].mean() - calme["log_factor"].mean())
print(
    f"mistral prévu, facteur appris par le modèle : {facteur:.2f} (n = {int(appris['n'].sum())} cellules-jours)"
)

# %% [markdown]
# ## 6. Et la vérité ?
#
# Seule une simulation dit combien il y avait à savoir : la vraisemblance de la vraie loi, sur les mêmes jours.

# %%
mien = previsions.select(model="lightgbm")
rangs = [panneau.index_at(instant) for instant in mien.keys["cutoff"]]
loi = ville.intensity(jours, "noise")[rangs]
place = {cellule: numero for numero, cellule in enumerate(ville.grid.cells)}
colonne = np.array([place.get(cellule, -1) for cellule in mien.cells])
vrai = np.maximum(np.where(colonne >= 0, loi[:, colonne], 0.0), 1e-9)
observe = mien.observed_count


def vraisemblance(taux):
    return float((observe * np.log(taux) - taux).sum())


partout = vraisemblance(np.full_like(vrai, vrai.mean()))
comptes = previsions.select(model="count_365d").expected_count
for nom, taux in {"count_365d": comptes, "lightgbm": mien.expected_count}.items():
    part = (vraisemblance(taux) - partout) / (vraisemblance(vrai) - partout)
    print(f"{nom} savait {part:.0%} de ce qui pouvait être su ({int(observe.sum())} faits simulés)")

# %% [markdown]
# ## 7. La carte et le rapport
#
# Deux fichiers qui s'ouvrent sans réseau ; le rapport existe aussi en français. Chacun dit que les données sont simulées.

# %%
for nom in ("map.html", "report.html", "report.fr.html"):
    chemin = dossier / nom
    if chemin.exists():
        print(
            f"{nom}: {chemin.stat().st_size / 1e6:.1f} Mo, « {ville.notice[:14]} » : {ville.notice in chemin.read_text()}"
        )
sortie.cleanup()
